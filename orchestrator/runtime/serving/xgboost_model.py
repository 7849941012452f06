"""What SageMaker's built-in XGBoost image answers: the same inputs, the same text, the same errors."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from orchestrator.runtime.serving.contract import (
    ANY,
    CSV,
    JSON,
    CannotServe,
    InferenceError,
    Reply,
    Request,
    media_type,
)

LIBSVM = ("text/libsvm", "text/x-libsvm")
INPUTS = f"Supported content-type is {CSV}, {', '.join(LIBSVM)}"
JSON_LINES = "application/jsonlines"
NEWLINES_SINCE = (1, 3)
"""Older images part the predictions of one csv answer by commas, newer ones by line ends."""


class XGBoostModel:
    """One booster, or several whose predictions are averaged, as ``/opt/ml/model`` holds them."""

    def __init__(self, folder: Path, version: tuple[int, ...], environment: Mapping[str, str]) -> None:
        if "SAGEMAKER_INFERENCE_OUTPUT" in environment:
            raise CannotServe("selectable inference (SAGEMAKER_INFERENCE_OUTPUT) is not available on the embedded AWS")
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        if not files:
            raise CannotServe("the model archive holds no model file; training writes xgboost-model")
        ensemble = environment.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true"
        self.boosters = [load(path) for path in (files if ensemble else files[:1])]
        self._separator = "\n" if not version or version >= NEWLINES_SINCE else ","
        self._accept = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)

    def invoke(self, request: Request) -> Reply:
        """Predict the rows of the body."""
        if not request.body:
            return Reply(b"", status=204)
        accept = media_type(request.accept)
        accept = self._accept if accept in ("", ANY) else accept
        if accept not in (CSV, JSON, JSON_LINES):
            raise InferenceError(
                406, f"Accept type {accept} is not supported. Please use {CSV}, {JSON} or {JSON_LINES}."
            )
        content_type = media_type(request.content_type) or CSV
        rows = parse(request.body, content_type)
        try:
            self._check_width(rows.num_col(), content_type)
            values = self.predict(rows).tolist()
        except Exception as error:
            raise InferenceError(400, f"Unable to evaluate payload provided: {error}") from error
        return Reply(self._encode(values, accept), accept if accept != CSV else "text/csv; charset=utf-8")

    def predict(self, rows: xgboost.DMatrix) -> Any:
        """The boosters' mean prediction."""
        answers = [booster.predict(rows, validate_features=False) for booster in self.boosters]
        return answers[0] if len(answers) == 1 else np.mean(answers, axis=0)

    def _check_width(self, given: int, content_type: str) -> None:
        """XGBoost would take missing columns for missing values, and answer."""
        known = self.boosters[0].num_features()
        if given > known or (given < known and content_type == CSV):
            raise ValueError(
                f"Feature size of {content_type} inference data {given} is not consistent with feature size of trained"
                f" model {known}."
            )

    def _encode(self, values: list[Any], accept: str) -> bytes:
        if accept == CSV:
            end = "\n" if self._separator == "\n" else ""
            return (self._separator.join(map(str, values)) + end).encode()
        scores = [{"score": value} for value in values]
        if accept == JSON:
            return json.dumps({"predictions": scores}).encode()
        return "".join(json.dumps(score) + "\n" for score in scores).encode()


def load(path: Path) -> xgboost.Booster:
    """The booster of a file that ``save_model`` or ``pickle`` wrote; raises CannotServe when it is neither."""
    content = path.read_bytes()
    try:
        return xgboost.Booster({"nthread": 1}, model_file=bytearray(content))
    except xgboost.core.XGBoostError as error:
        try:
            model = pickle.loads(content)  # noqa: S301  (the image does it: the archive is the user's own)
        except Exception:
            first = str(error).strip().splitlines()[0]
            raise CannotServe(f"Model at {path.name} cannot be loaded: {first}") from error
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not isinstance(booster, xgboost.Booster):
        raise CannotServe(f"Model at {path.name} cannot be loaded: it is a {type(model).__name__}, not a Booster")
    booster.set_param({"nthread": 1})
    return booster


def parse(body: bytes, content_type: str) -> xgboost.DMatrix:
    """The rows of a body; raises InferenceError 415, as the image does, for a wrong type and for wrong content."""
    if content_type != CSV and content_type not in LIBSVM:
        raise InferenceError(415, f"Content-type {content_type} not supported. {INPUTS}")
    name = "csv" if content_type == CSV else "libsvm"
    try:
        text = body.decode().strip()
        return xgboost.DMatrix(_csv(text)) if name == "csv" else xgboost.DMatrix(_libsvm(text))
    except (ValueError, xgboost.core.XGBoostError) as error:
        raise InferenceError(
            415, f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n {error}"
        ) from error


def _csv(text: str) -> Any:
    lines = text.splitlines()
    delimiter = next((sign for sign in (",", "\t", ";", " ") if sign in lines[0]), ",") if lines else ","
    rows = [[float(cell) if cell.strip() else np.nan for cell in line.split(delimiter)] for line in lines]
    return np.array(rows, dtype=np.float32)


def _libsvm(text: str) -> Any:
    """``index:value`` pairs; a label before them is passed over."""
    from scipy.sparse import csr_matrix

    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for line in text.split("\n"):
        for pair in line.split():
            index, colon, value = pair.partition(":")
            if colon:
                columns.append(int(index))
                values.append(float(value))
        ends.append(len(values))
    return csr_matrix((np.array(values, dtype=np.float32), columns, ends))
