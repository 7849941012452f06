"""Asking the monitored model: rows of features to a real-time endpoint, rows of scores back.

How a request and an answer look is said by ``settings`` of the monitor: ``content_type`` (``text/csv``, the default,
``application/json`` or ``application/jsonlines``), ``accept_type`` (default: the content type), ``features_attribute``
(the member of a JSON request that holds the features; default ``instances`` of JSON, ``features`` of JSON lines), and
``model_scores`` (where the scores lie in an answer: a place, a name or a JSONPath; default all of it).

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.runtime.monitoring import own_calls
from orchestrator.runtime.monitoring.attributes import Attribute, attribute, csv_rows, json_documents, json_rows
from orchestrator.runtime.monitoring.clients import refusals
from orchestrator.runtime.monitoring.failures import InputUnreadable, MonitoringError

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
CONTENT_TYPES = (CSV, JSON, JSON_LINES)
MOST_BYTES = 1 << 20
"""Of one request. SageMaker takes 6 MB, and gives a container 60 seconds for an answer."""
MOST_ROWS = 10_000
ANSWER_SECONDS = 70.0


class AnswerUnreadable(MonitoringError):
    """The endpoint answered what is no rows of numbers, or with another number of rows."""


class Endpoint:
    """An endpoint as a function of rows: it can be given to a kind of monitor as its ``predict``."""

    def __init__(self, runtime: Any, name: str, settings: Mapping[str, Any]) -> None:
        self._runtime = runtime
        self._name = name
        self._content_type = _type(settings, "content_type", CSV)
        self._accept = _type(settings, "accept_type", self._content_type)
        self._features = str(settings.get("features_attribute") or "")
        scores = settings.get("model_scores")
        if isinstance(scores, Mapping):  # the SDK's ModelPredictedLabelConfig
            scores = scores.get("probability", scores.get("label"))
        self._scores: Attribute | None = None if scores in (None, "") else attribute(str(scores))

    def __call__(self, rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        """The scores of each row. Raises AwsRefused and AnswerUnreadable."""
        found: list[list[float]] = []
        for body, count in self._requests(rows):
            answer = self._ask(body)
            scores = self._read(answer, count)
            if len(scores) != count:
                raise AnswerUnreadable(
                    f"The endpoint {self._name} answered {count} rows with {len(scores)}.",
                    hint="Check content_type, accept_type and model_scores of the settings.",
                )
            found += scores
        return found

    def _requests(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[bytes, int]]:
        """Bodies of requests with how many rows each has."""
        lines: list[str] = []
        size = 0
        for row in rows:
            line = self._line(row)
            if lines and (size + len(line) + 1 > MOST_BYTES or len(lines) == MOST_ROWS):
                yield self._body(lines), len(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        if lines:
            yield self._body(lines), len(lines)

    def _line(self, row: Sequence[Any]) -> str:
        values = [None if value != value else value for value in row]  # NaN is missing too
        if self._content_type == CSV:
            target = io.StringIO()
            csv.writer(target, lineterminator="").writerow(["" if value is None else value for value in values])
            return target.getvalue()
        if self._content_type == JSON_LINES:
            return json.dumps({self._features or "features": values})
        return json.dumps(values)

    def _body(self, lines: Sequence[str]) -> bytes:
        if self._content_type == JSON:
            return f"{{{json.dumps(self._features or 'instances')}: [{', '.join(lines)}]}}".encode()
        return "\n".join(lines).encode()

    def _ask(self, body: bytes) -> str:
        with refusals(f"Asking the endpoint {self._name}", "sagemaker:InvokeEndpoint", f"endpoint/{self._name}"):
            answer = self._runtime.invoke_endpoint(
                EndpointName=self._name,
                ContentType=self._content_type,
                Accept=self._accept,
                InferenceId=own_calls.inference_id(),
                Body=body,
            )
            data: bytes = answer["Body"].read()
        return data.decode("utf-8", errors="replace")

    def _read(self, payload: str, count: int) -> list[list[float]]:
        try:
            if self._accept == CSV:
                rows: list[Any] = list(csv_rows(payload, count))
            else:
                documents = json_documents(payload)
                whole = count if len(documents) == 1 else None
                rows = [row for document in documents for row in self._json_rows(document, whole)]
            return [[float(value) for value in _flat(self._picked(row))] for row in rows]
        except (ValueError, TypeError, IndexError, KeyError) as error:
            # What it answered is data and stays out of logs and messages.
            raise AnswerUnreadable(
                f"The endpoint {self._name} answered what holds no scores as {self._accept} ({type(error).__name__}).",
                hint="Check accept_type and model_scores of the settings.",
            ) from None

    def _json_rows(self, document: Any, expected: int | None) -> list[Any]:
        wanted = self._scores
        if wanted is None or wanted.place is not None:
            return json_rows(document, expected)
        if isinstance(document, dict) and wanted.steps[0] in document:
            found = _walk(document, wanted.steps)
            return found if isinstance(found, list) and expected not in (None, 1) else [found]
        return [_walk(row, wanted.steps) for row in json_rows(document, expected)]

    def _picked(self, row: Any) -> Any:
        """What of a row is scores: one place of it, or all."""
        if self._scores is None or self._scores.place is None:
            return row
        values = list(row.values()) if isinstance(row, dict) else row if isinstance(row, list) else [row]
        return values[self._scores.place]


def _type(settings: Mapping[str, Any], name: str, default: str) -> str:
    value = settings.get(name) or default
    if value not in CONTENT_TYPES:
        raise InputUnreadable(f"The setting {name} must be one of {', '.join(CONTENT_TYPES)}, not {value!r}.")
    return str(value)


def _walk(value: Any, steps: Sequence[str | int]) -> Any:
    for place, step in enumerate(steps):
        if step == "*":
            return [_walk(each, steps[place + 1 :]) for each in value]
        value = value[step]
    return value


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return [value]
    return [number for each in value for number in _flat(each)]
