"""What SageMaker's PyTorch inference image does where the user's script says nothing: TorchScript, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from orchestrator.runtime.serving.codec import TEXT_TYPES, decode, encode
from orchestrator.runtime.serving.contract import CannotServe


def model_fn(model_dir: str) -> Any:
    """The TorchScript module ``model.pt``, or the only ``.pt``/``.pth`` file; raises CannotServe."""
    folder = Path(model_dir)
    path = folder / "model.pt"
    if not path.exists():
        files = sorted(file for file in folder.iterdir() if file.suffix in (".pt", ".pth"))
        if len(files) != 1:
            names = [file.name for file in files]
            raise CannotServe(f"Exactly one .pth or .pt file is required for PyTorch models: {names}")
        path = files[0]
    try:
        module: Any = torch.jit
        return module.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise CannotServe(
            f"Failed to load {path.name}: it is not TorchScript. Save it with torch.jit.script, or bring a model_fn"
            " in code/inference.py."
        ) from error


def input_fn(body: str | bytes, content_type: str) -> Any:
    """JSON, CSV or NPY as a tensor; text becomes floats."""
    array = decode(body, content_type)
    return torch.tensor(array, dtype=torch.float32) if content_type in TEXT_TYPES else torch.from_numpy(array)


def predict_fn(data: Any, model: Any) -> Any:
    """The module's answer, without gradients."""
    with torch.inference_mode():
        return model(data)


def output_fn(prediction: Any, accept: str) -> bytes:
    """The tensor as JSON, CSV or NPY."""
    value = prediction.detach().cpu().numpy() if isinstance(prediction, torch.Tensor) else prediction
    return encode(value, accept)


DEFAULTS: dict[str, Callable[..., Any]] = {
    "model_fn": model_fn,
    "input_fn": input_fn,
    "predict_fn": predict_fn,
    "output_fn": output_fn,
}
