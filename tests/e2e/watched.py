"""A small model behind endpoints, traffic that is as usual or has drifted, and the labels that come later."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from orchestrator.cli import embedded
from orchestrator.cli.walk import wait_until
from tests.e2e.conftest import Machine
from tests.e2e.posted import Workbench

ANALYSIS_SECONDS = 120.0
FEATURES = ("age", "income", "visits")
MODEL_KEY, TRAIN_KEY, SCORED_KEY = "models/watched/model.tar.gz", "data/watched/train.csv", "data/watched/scored.csv"
Rows = np.ndarray[Any, np.dtype[np.float64]]


def people(count: int, seed: int) -> tuple[Rows, Rows]:
    """Features of people, and who bought: those with an income do, the young a little more."""
    random = np.random.default_rng(seed)
    rows = np.column_stack(
        [random.integers(20, 80, count), random.normal(40, 10, count).round(2), random.poisson(4, count)]
    ).astype(float)
    odds = 0.03 * (50 - rows[:, 0]) + 0.25 * (rows[:, 1] - 40)
    return rows, (random.random(count) < 1 / (1 + np.exp(-odds))).astype(float)


def stuck(count: int, seed: int) -> tuple[Rows, Rows]:
    """People whose income is not known any more and always said to be the same, and who buy as it pleases them."""
    rows, bought = people(count, seed)
    rows[:, 1] = 40
    return rows, 1 - bought


def lines(rows: Rows) -> list[str]:
    """Rows as lines of a CSV."""
    return [",".join(f"{value:g}" for value in row) for row in rows]


def table(header: tuple[str, ...], *columns: Rows) -> str:
    """A CSV with a header."""
    return "\n".join([",".join(header), *lines(np.column_stack(columns))]) + "\n"


class Watched:
    """The model and its data, in the assets bucket of an embedded AWS."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.bench = Workbench(machine)
        rows, bought = people(3000, 1)
        booster = xgboost.train(
            {"objective": "binary:logistic", "max_depth": 3}, xgboost.DMatrix(rows, label=bought), 12
        )
        self.put(MODEL_KEY, archive(booster))
        self.put(TRAIN_KEY, table(("bought", *FEATURES), bought, rows).encode())
        rows, bought = people(3000, 2)  # of the rows it was trained with the model knows too much
        scores = booster.inplace_predict(rows)
        self.put(SCORED_KEY, table((*FEATURES, "score", "bought"), rows, scores, bought).encode())

    def put(self, key: str, body: bytes) -> None:
        """An object of the assets bucket."""
        self.client("s3").put_object(Bucket=self.bench.assets, Key=key, Body=body)

    def client(self, service: str, account: str = "") -> Any:
        """A client of an account, the hub's by default."""
        return self.bench.walk.client(service, account)

    def now(self) -> datetime:
        """The time in the embedded AWS."""
        return datetime.fromisoformat(embedded.clock(self.machine.running)["now"])

    def next_hour(self) -> datetime:
        """Move the clock just behind the next full hour; that hour."""
        now = self.now()
        hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        embedded.clock(self.machine.running, (hour - now).total_seconds() + 1)
        return hour

    def call(self, account: str, endpoint: str, bucket: str, rows: Rows, labels: Rows, run: str) -> None:
        """Ask the endpoint about every row, and write the labels below the hour of the calls."""
        runtime, truth = self.client("sagemaker-runtime", account), []
        for number, (line, label) in enumerate(zip(lines(rows), labels, strict=True)):
            event = f"{run}-{number}"
            runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=line, InferenceId=event)
            truth.append(json.dumps({
                "groundTruthData": {"data": f"{label:g}", "encoding": "CSV"},
                "eventMetadata": {"eventId": event}, "eventVersion": "0",
            }))  # fmt: skip
        key = f"labels/{self.now():%Y/%m/%d/%H}/{run}.jsonl"
        self.client("s3", account).put_object(Bucket=bucket, Key=key, Body="\n".join(truth).encode())
        mark = f'"{run}-'
        wait_until("Every call was captured", 30, lambda: self._captured(account, bucket, endpoint, mark) == len(rows))

    def _captured(self, account: str, bucket: str, endpoint: str, mark: str) -> int:
        """How many captured calls hold the mark."""
        folder = f"captured/{endpoint}/AllTraffic/{self.now():%Y/%m/%d/%H}/"
        return sum(
            self.bench.read(account, bucket, key).count(mark) for key in self.bench.keys(account, bucket, folder)
        )

    def analysed(self, account: str, bucket: str, hour: datetime, count: int) -> dict[str, Any]:
        """The results, once all monitors have looked at the window that ended at the hour."""

        def whole() -> dict[str, Any] | None:
            found = self.results(account, bucket, hour)
            return found if len(found) == count else None

        found: dict[str, Any] = wait_until(f"Every analysis below {bucket}", ANALYSIS_SECONDS, whole)
        return found

    def results(self, account: str, bucket: str, hour: datetime) -> dict[str, Any]:
        """By monitor, the violations of the window that ended at the hour."""
        ending = f"{hour:%Y/%m/%d/%H}/constraint_violations.json"
        keys = [key for key in self.bench.keys(account, bucket, "results/") if key.endswith(ending)]
        return {key.split("/")[2]: json.loads(self.bench.read(account, bucket, key))["violations"] for key in keys}


def archive(booster: xgboost.Booster) -> bytes:
    """``model.tar.gz`` as the image of XGBoost wants it."""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=packed, mode="w:gz") as tar:
        path = Path(folder) / "xgboost-model"
        booster.save_model(str(path.with_suffix(".ubj")))
        tar.add(path.with_suffix(".ubj"), "xgboost-model")
    return packed.getvalue()
