"""Which program stands for an image: read from its URI, from the machine, and from the user's own ``images.json``."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Purpose = Literal["train", "serve", "process"]
PURPOSES = ("train", "serve", "process")

URI = re.compile(
    r"^(?:(?P<registry>[^/]+\.[^/]+|localhost(?::\d+)?)/)?(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?$"
)

FRAMEWORKS: Mapping[str, tuple[str, ...]] = {
    # repository names of AWS's registries -> the module that must be importable here
    "sagemaker-xgboost": ("xgboost", "xgboost"),
    "xgboost": ("xgboost", "xgboost"),
    "sagemaker-scikit-learn": ("sklearn", "sklearn"),
    "pytorch-training": ("pytorch", "torch"),
    "pytorch-inference": ("pytorch", "torch"),
    "pytorch-inference-graviton": ("pytorch", "torch"),
    "pytorch-inference-arm64": ("pytorch", "torch"),
}
MONITORING_SUFFIX = "-monitoring"
"""The image that runs monitors is named after the deployment's prefix, with this behind it."""
MONITORING = ("python3", "-m", "orchestrator.runtime.monitoring")
PACKAGES = {"xgboost": "xgboost-cpu", "sklearn": "scikit-learn", "torch": "torch", "polars": "polars"}


@dataclass(frozen=True, slots=True)
class Container:
    """How an image runs on this machine.

    ``kind`` is ``xgboost``, ``sklearn``, ``pytorch``, ``monitoring``, ``command`` (registered by the user) or
    ``none``; then ``reason`` is a sentence that says why it cannot run. ``argv`` is the program that stands for the
    image's own, if any.
    """

    image: str
    kind: str
    tag: str = ""
    argv: Sequence[str] = field(default_factory=tuple)
    reason: str = ""

    @property
    def runs(self) -> bool:
        """Whether the image has a program here."""
        return self.kind != "none"

    @property
    def version(self) -> tuple[int, ...]:
        """The framework's version from the tag (``1.7-1`` -> ``(1, 7)``); empty when the tag has none."""
        match = re.match(r"(\d+)(?:\.(\d+))?", self.tag)
        return tuple(int(part) for part in match.groups() if part) if match else ()


class BadRegistration(Exception):
    """``images.json`` is not ``{"<glob>": {"train": [...], "serve": [...], "process": [...]}}``."""


def registrations(path: Path) -> dict[str, dict[str, list[str]]]:
    """The commands a user has registered for images; empty when there is no such file. Raises BadRegistration."""
    if not path.exists():
        return {}
    try:
        document: Any = json.loads(path.read_text())
        for commands in document.values():
            unknown = set(commands) - set(PURPOSES)
            if unknown or not all(isinstance(word, str) for argv in commands.values() for word in argv):
                raise ValueError(f"an image has a list of words under {', '.join(PURPOSES)} only, not {commands}")
    except (ValueError, AttributeError, TypeError) as error:
        raise BadRegistration(
            f'{path} must be {{"<image glob>": {{"train": [...], "serve": [...], "process": [...]}}}}: {error}'
        ) from error
    return dict(document)


def identify(image: str, purpose: Purpose, registered: Mapping[str, Mapping[str, Sequence[str]]]) -> Container:
    """What stands for the image here; a registered command goes before what we know ourselves."""
    match = URI.match(image)
    tag = (match["tag"] or "") if match else ""
    for glob, commands in registered.items():
        if fnmatch.fnmatchcase(image, glob) and purpose in commands:
            return Container(image, "command", tag, tuple(commands[purpose]))
    name = match["repository"].rpartition("/")[2] if match else ""
    known = ("monitoring", "polars") if _monitors(name, purpose) else FRAMEWORKS.get(name)
    if known is None:
        return Container(image, "none", tag, reason=_why_unknown(image, name, tag, purpose))
    kind, module = known
    if importlib.util.find_spec(module) is None:
        return Container(image, "none", tag, reason=f"it needs {module}; `pip install {PACKAGES[module]}` brings it")
    return Container(image, kind, tag, MONITORING if kind == "monitoring" else ())


def _monitors(name: str, purpose: Purpose) -> bool:
    return purpose == "process" and name.endswith(MONITORING_SUFFIX)


def _why_unknown(image: str, name: str, tag: str, purpose: Purpose) -> str:
    if re.search(r"gpu|cu\d{2,3}|cuda|vllm|sglang|djl|tgi|tritonserver|neuron", f"{name}:{tag}"):
        return "it needs a GPU and a container engine"
    return f'no local command is registered for it; images.json may say {{"{image}": {{"{purpose}": ["python", ...]}}}}'
