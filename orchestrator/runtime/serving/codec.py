"""CSV, JSON and NPY to arrays and back, as the ``sagemaker-inference`` toolkit does it."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from orchestrator.runtime.serving.contract import CSV, JSON, NPY, InferenceError

TEXT_TYPES = {CSV, JSON}
"""Bodies of these types reach ``input_fn`` as ``str``, all others as ``bytes``."""


def decode(body: str | bytes, content_type: str) -> Any:
    """The body as an array; raises InferenceError 415 for a type that is none of the three."""
    if content_type == JSON:
        return np.array(json.loads(body))
    if content_type == CSV:
        text = body if isinstance(body, str) else body.decode()
        return np.genfromtxt(io.StringIO(text), delimiter=",")
    if content_type == NPY:
        assert isinstance(body, bytes)
        return np.load(io.BytesIO(body), allow_pickle=False)
    raise InferenceError(415, f"Content type {content_type} is not supported by this framework.")


def encode(value: Any, accept: str) -> bytes:
    """The array (or what looks like one) in the wanted type; raises InferenceError 415 for an unknown type."""
    if accept == JSON:
        return json.dumps(value, default=_plain).encode()
    if accept == CSV:
        stream = io.StringIO()
        np.savetxt(stream, value, delimiter=",", fmt="%s")
        return stream.getvalue().encode()
    if accept == NPY:
        buffer = io.BytesIO()
        np.save(buffer, value)
        return buffer.getvalue()
    raise InferenceError(415, f"Content type {accept} is not supported by this framework.")


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
