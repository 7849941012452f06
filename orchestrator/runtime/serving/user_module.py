"""The user's ``inference.py``: ``model_fn``, ``input_fn``, ``predict_fn``, ``output_fn``, or ``transform_fn``.

Functions that are missing are the framework image's own; those that have none must be brought.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from orchestrator.runtime.serving.codec import TEXT_TYPES, decode, encode
from orchestrator.runtime.serving.contract import ANY, JSON, CannotServe, Reply, Request, media_type

Function = Callable[..., Any]

DEFAULT_PROGRAM = {"pytorch": "inference.py"}
"""The script an image runs when SAGEMAKER_PROGRAM is not set; the other images then run none."""
MOST_IN_A_BATCH = 64


class UserModel:
    """A loaded model and the functions around it."""

    def __init__(self, functions: Mapping[str, Function], folder: Path, accept: str) -> None:
        self._functions = functions
        self._accept = accept
        self._context = {"system_properties": {"model_dir": str(folder)}}
        self._model = self._call("model_fn", str(folder))
        self.batches = "batch_predict_fn" in functions

    def invoke(self, request: Request) -> Reply:
        """Input, prediction, output; or the user's ``transform_fn`` in their place."""
        accept = self._accepted(request)
        if "transform_fn" in self._functions:
            content_type = media_type(request.content_type) or JSON
            return _reply(self._call("transform_fn", self._model, _body(request), content_type, accept), accept)
        prediction = self._call("predict_fn", self._input(request), self._model)
        return _reply(self._call("output_fn", prediction, accept), accept)

    def invoke_together(self, requests: list[Request]) -> list[Reply | Exception]:
        """Several requests with one call of ``batch_predict_fn``; a wrong one does not spoil the others."""
        answers: list[Any] = []
        for request in requests:
            try:
                answers.append((self._input(request),))
            except Exception as error:
                answers.append(error)
        good = [index for index, answer in enumerate(answers) if isinstance(answer, tuple)]
        try:
            predictions = self._call("batch_predict_fn", [answers[index][0] for index in good], self._model)
            if len(predictions) != len(good):
                raise ValueError(f"batch_predict_fn got {len(good)} inputs and returned {len(predictions)} predictions")
        except Exception as error:
            return [answer if isinstance(answer, Exception) else error for answer in answers]
        for index, prediction in zip(good, predictions, strict=True):
            accept = self._accepted(requests[index])
            try:
                answers[index] = _reply(self._call("output_fn", prediction, accept), accept)
            except Exception as error:
                answers[index] = error
        return answers

    def _input(self, request: Request) -> Any:
        return self._call("input_fn", _body(request), media_type(request.content_type) or JSON)

    def _accepted(self, request: Request) -> str:
        accept = media_type(request.accept)
        return self._accept if accept in ("", ANY) else accept

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function; one with a further parameter gets the context, as newer toolkits do."""
        function = self._functions[name]
        wanted = len(inspect.signature(function).parameters)
        return function(*arguments, self._context) if wanted == len(arguments) + 1 else function(*arguments)


def load(kind: str, base: Path, environment: Mapping[str, str]) -> UserModel:
    """The user's model; raises CannotServe when the script or one of its functions is missing."""
    program = environment.get("SAGEMAKER_PROGRAM") or DEFAULT_PROGRAM.get(kind, "")
    code = code_folder(base, environment)
    defaults = _defaults(kind)
    module: ModuleType | None = None
    if not program:
        raise CannotServe(
            "this image runs the script that the environment variable SAGEMAKER_PROGRAM names, and it is not set;"
            " set it to inference.py and SAGEMAKER_SUBMIT_DIRECTORY to /opt/ml/model/code, where the archive holds it"
        )
    if (code / program).is_file():
        sys.path.insert(0, str(code))
        module = importlib.import_module(program.removesuffix(".py").replace("/", "."))
    elif "SAGEMAKER_PROGRAM" in environment or "model_fn" not in defaults:
        raise CannotServe(f"there is no {program} in {code}")
    own = {name: getattr(module, name) for name in FUNCTIONS if hasattr(module, name)}
    if "transform_fn" in own and own.keys() & {"input_fn", "predict_fn", "output_fn", "batch_predict_fn"}:
        raise CannotServe("transform_fn cannot stand beside input_fn, predict_fn or output_fn")
    functions = {**defaults, **own}
    if "model_fn" not in functions:
        raise CannotServe(f"{program} has no model_fn; this image has no default for it")
    return UserModel(functions, base / "model", environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON))


FUNCTIONS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn", "batch_predict_fn")


def code_folder(base: Path, environment: Mapping[str, str]) -> Path:
    """Where the script is: the source archive's folder, the one the variable names, or ``code`` in the model."""
    named = environment.get("SAGEMAKER_SUBMIT_DIRECTORY", "").removeprefix("file://")
    if named.startswith("s3://"):
        return base / "code"
    if named.startswith("/opt/ml/"):
        return base / named.removeprefix("/opt/ml/")
    return Path(named) if named.startswith("/") else base / "model/code"


def _defaults(kind: str) -> dict[str, Function]:
    if kind == "pytorch":
        from orchestrator.runtime.serving import pytorch_model

        return pytorch_model.DEFAULTS
    if kind == "xgboost":
        from orchestrator.runtime.serving import xgboost_model

        return {
            "input_fn": lambda body, kind: xgboost_model.parse(body.encode() if isinstance(body, str) else body, kind),
            "predict_fn": lambda rows, model: model.predict(rows, validate_features=False),
            "output_fn": encode,
        }
    return {"input_fn": _array, "predict_fn": lambda rows, model: model.predict(rows), "output_fn": encode}


def _array(body: str | bytes, content_type: str) -> Any:
    rows = decode(body, content_type)
    return rows.astype(np.float32) if content_type in TEXT_TYPES else rows


def _body(request: Request) -> str | bytes:
    return request.body.decode() if media_type(request.content_type) in TEXT_TYPES else request.body


def _reply(result: Any, accept: str) -> Reply:
    """What ``output_fn`` may return: text, bytes, pieces of either, or one of these with a content type."""
    if isinstance(result, tuple) and len(result) == 2:
        result, accept = result
    if isinstance(result, (bytes, bytearray)):
        return Reply(bytes(result), accept)
    if isinstance(result, str):
        return Reply(result.encode(), accept)
    if isinstance(result, Iterator):
        return Reply(_pieces(result), accept)
    return Reply(encode(result, accept), accept)


def _pieces(parts: Iterable[Any]) -> Iterator[bytes]:
    for part in parts:
        yield part.encode() if isinstance(part, str) else bytes(part)
