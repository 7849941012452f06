"""A monitor's run as a SageMaker Processing job: ``job --task baseline`` and ``job --task analyze --until TIME``.

    /opt/ml/processing/input/definition/definition.json   what the monitor is (see ``definition``)
    /opt/ml/processing/input/data                         baseline: the data the model was trained with
    /opt/ml/processing/input/baseline                     analyze: what the baseline job wrote
    /opt/ml/processing/output                             what SageMaker uploads: the baseline's documents, or those of
                                                          the window below the hour it ends, ``yyyy/mm/dd/hh/``
    /opt/ml/output/message                                one line; DescribeProcessingJob shows it as ExitMessage

The root is another where ``SAGEMAKER_BASE_DIR`` says so. Violations do not fail the job; what cannot be read does. A
window without captured calls completes, with ``Rows`` 0. Metrics are sent last, after all documents are written, at the
time the analysis is for.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
and https://docs.aws.amazon.com/sagemaker/latest/dg/byoc-metadata.html
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.runtime.monitoring import definition, emission, kinds, own_calls, window
from orchestrator.runtime.monitoring.brought import brought
from orchestrator.runtime.monitoring.clients import client
from orchestrator.runtime.monitoring.command import Result, noticed
from orchestrator.runtime.monitoring.failures import InputMissing, MonitoringError

BASE_VARIABLE, BASE = "SAGEMAKER_BASE_DIR", "/opt/ml"
MESSAGE_BYTES = 1024
"""SageMaker shows so much of the message."""
COMPLETED, VIOLATED = "Completed", "CompletedWithViolations"
EXAMPLES = 5


def register(parser: argparse.ArgumentParser) -> None:
    """The arguments of the job."""
    parser.add_argument("--task", required=True, choices=["baseline", "analyze"])
    parser.add_argument("--until", help="for analyze: the time the analysis is for, ISO 8601; the window ends with the"
                        " last whole hour before it")  # fmt: skip


def run(arguments: argparse.Namespace) -> Result:
    """Run the task; the message file tells how it went, also when it fails. Raises a MonitoringError."""
    root = Path(os.environ.get(BASE_VARIABLE, BASE))
    try:
        monitor = definition.read(root / "processing/input/definition/definition.json")
        result = _analyze(monitor, root, arguments.until) if arguments.task == "analyze" else _baseline(monitor, root)
    except MonitoringError as error:
        _tell(root, f"Failed: {error.message} {error.hint}".strip())
        raise
    except Exception as error:
        _tell(root, f"Failed: {type(error).__name__}: {error}")
        raise
    _tell(root, result.text.splitlines()[0])
    return result


def _baseline(monitor: definition.Monitor, root: Path) -> Result:
    from orchestrator.runtime.monitoring.reading import Format, Source

    folder = root / "processing/input/data"
    if not folder.is_dir():
        raise InputMissing(f"There is no {folder}.", hint="The job needs the processing input 'data'.")
    names = list(monitor.told.columns) or None
    source = Source(folder, Format(monitor.format), header=monitor.header, names=names)
    kind = kinds.find(monitor.told.monitor)
    with tempfile.TemporaryDirectory(prefix="settings-") as place:
        told = brought(kind, monitor.told, lambda: client("s3"), Path(place))
        made = kind.baseline(source, told, _predict(monitor))
    paths = _write(root / "processing/output", made.files)
    found = f", {len(made.findings)} findings" if made.findings else ""
    said = f"{COMPLETED}: baseline of {made.rows:,} rows{found}."
    return Result(_document(made, paths), "\n".join([said, *noticed(made.findings)]))


def _analyze(monitor: definition.Monitor, root: Path, until: str | None) -> Result:
    if not until:
        raise InputMissing("--until is missing.", hint="Say the time the analysis is for: --until 2026-11-21T10:00:00Z")
    baseline = root / "processing/input/baseline"
    if not baseline.is_dir():
        raise InputMissing(f"There is no {baseline}.", hint="The job needs the processing input 'baseline'.")
    at = window.moment(until)
    hours = window.hours(at, monitor.window_hours, monitor.delay_hours)
    with tempfile.TemporaryDirectory(prefix="window-") as folder:
        fetched = window.fetch(client("s3"), monitor, hours, Path(folder) / "window")
        if fetched.calls and own_calls.leave_out(fetched.captured):
            looked_at = kinds.Window(fetched.captured, fetched.ground_truth, header=False)
            kind = kinds.find(monitor.told.monitor)
            (Path(folder) / "settings").mkdir()
            told = brought(kind, monitor.told, lambda: client("s3"), Path(folder) / "settings")
            made: kinds.Result = kind.analyze(looked_at, baseline, told, _predict(monitor))
        else:
            made = _nothing(hours)
    paths = _write(root / "processing/output" / hours.folder, made.files)
    remarks = [fetched.remark] if fetched.remark else []
    if monitor.namespace:
        remarks += _emit(monitor, made, at)
    said = " ".join([_said(made, hours), *remarks])
    return Result(_document(made, paths), "\n".join([said, *noticed(made.findings)]))


def _nothing(hours: window.Hours) -> kinds.Result:
    """What is found where nothing was captured: nothing, and that is written down."""
    from orchestrator.runtime.monitoring.analysis import VIOLATIONS

    summary = {"status": COMPLETED, "rows": {"observed": 0}, "window": str(hours)}
    empty = {"version": 0.0, "violations": [], "summary": summary, "findings": []}
    return kinds.Result({VIOLATIONS: empty}, rows=0)


def _predict(monitor: definition.Monitor) -> kinds.Predict:
    """The monitored endpoint; the client is made when a kind first asks."""

    @cache
    def endpoint() -> kinds.Predict:
        from orchestrator.runtime.monitoring.asking import ANSWER_SECONDS, Endpoint

        runtime = client("sagemaker-runtime", read_seconds=ANSWER_SECONDS)
        return Endpoint(runtime, monitor.told.endpoint, monitor.told.settings)

    def predict(rows: Sequence[Sequence[Any]]) -> list[list[float]]:
        return endpoint()(rows)

    return predict


def _write(folder: Path, files: Mapping[str, Any]) -> list[Path]:
    from orchestrator.runtime.monitoring.analysis import write

    return write(folder, files)


def _emit(monitor: definition.Monitor, made: kinds.Result, at: datetime) -> list[str]:
    """Send the metrics; what there is to say about it."""
    if emission.is_too_old(at, datetime.now(UTC)):
        return [f"No metrics were sent: CloudWatch takes none that are older than {emission.OLDEST.days} days."]
    values = {**made.metrics, "Violations": float(len(made.violations)), "Rows": float(made.rows)}
    names = {"Endpoint": monitor.told.endpoint, "MonitoringSchedule": monitor.told.name}
    emission.put(client("cloudwatch"), monitor.namespace, emission.data(values, names, at))
    return []


def _said(made: kinds.Result, hours: window.Hours) -> str:
    """The line for people: the state, how much, and the first violations."""
    count = len(made.violations)
    if not count:
        seen = f"{made.rows:,} rows, no violations" if made.rows else "no captured calls, no violations"
        return f"{COMPLETED}: {seen}, {hours}."
    named = [_named(each) for each in made.violations[:EXAMPLES]]
    more = f" and {count - EXAMPLES} more" if count > EXAMPLES else ""
    plural = "s" if count > 1 else ""
    return f"{VIOLATED}: {count} violation{plural} in {made.rows:,} rows, {hours}: {', '.join(named)}{more}."


def _named(violation: Mapping[str, Any]) -> str:
    what = next(
        (violation[key] for key in ("feature_name", "metric_name", "metric", "facet") if violation.get(key)), ""
    )
    return f"{what} {violation.get('constraint_check_type')}".strip()


def _document(made: kinds.Result, paths: Sequence[Path]) -> dict[str, Any]:
    return {
        "rows": made.rows,
        "violations": list(made.violations),
        "metrics": dict(made.metrics),
        "findings": list(made.findings),
        "files": [str(path) for path in paths],
    }


def _tell(root: Path, text: str) -> None:
    """The line that DescribeProcessingJob shows."""
    path = root / "output/message"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", errors="replace")[:MESSAGE_BYTES].decode("utf-8", errors="ignore").encode())
