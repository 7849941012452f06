"""The demo's last step: a monitor watches the dev endpoint, is silent about traffic as usual, and finds drift.

It uses the doors a user has: a config that is provisioned, calls of an endpoint, the schedule, ``mlops monitor``. Only
the clock of the embedded AWS is moved forward, because nobody wants to wait for the next full hour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.cli import embedded, monitors
from orchestrator.cli.walk import Walk, WalkFailed, wait_until

CONFIG = "monitor.json"
STAGE = "dev"
CALLED_SECONDS, ANALYSED_SECONDS = 60.0, 120.0
COLUMN, FACTOR = 0, 1.4
"""What goes wrong in the second hour: an instrument that shows 40 percent too much of the first feature."""


@dataclass(frozen=True, slots=True)
class Hour:
    """What the monitor said of one hour of traffic."""

    traffic: str
    rows: int
    window: str
    violations: list[dict[str, Any]]
    report: Path | None


def has_monitor(example: Path) -> bool:
    """Whether the example comes with a monitor."""
    return (example / CONFIG).is_file()


def bucket_of(walk: Walk, stage: str) -> str:
    """The bucket of a stage's captured calls and results."""
    return f"{walk.config['model_name']}-{stage}"


def let_endpoints_capture(walk: Walk, repository: Path) -> None:
    """Make a bucket in each stage, and change the config so that the endpoints keep their calls there."""
    path = repository / "mlops-config.json"
    config = json.loads(path.read_text())
    for stage in config["stages"]:
        walk.client("s3", stage["account"]).create_bucket(Bucket=bucket_of(walk, stage["name"]))
    for pipeline in config["pipelines"]:
        if pipeline["pipeline_type"] == "realtime_inference":
            places = {stage["name"]: f"{bucket_of(walk, stage['name'])}/captured" for stage in config["stages"]}
            pipeline["data_capture"] = {"location": places}
    path.write_text(json.dumps(config, indent=2) + "\n")


def attach(walk: Walk) -> str:
    """Provision the example's monitor and follow its run to the end; the name of its project."""
    from orchestrator.cli.verbs.provision import invoke, refusal

    config = json.loads((walk.example / CONFIG).read_text())
    event = {"httpMethod": "POST", "path": "/provisionpipeline", "body": json.dumps(config), "isBase64Encoded": False}
    answer = invoke(walk.client("lambda"), event)
    if answer["statusCode"] != 200:
        raise refusal(json.loads(answer["body"]))
    project = f"mlops-pipeline-{config['model_name']}-workload"
    for change in walk.follow(project, walk.wait_for_run(project)):
        if change.status == "Failed":
            raise WalkFailed(f"{change.action} of {project} failed: {change.summary}", hint=f"mlops status {project}")
    return project


def watch(walk: Walk, project: str, folder: Path) -> Iterator[Hour]:
    """An hour of traffic as usual, then one with drift; the reports come into the folder."""
    from orchestrator.aws import Aws

    walk.target.enter()
    (monitor,) = monitors.deployed(Aws(walk.target.settings()), project)
    rows = [line.split(",") for line in (walk.folder / "test.csv").read_text().split()]
    wrong = [[*row[:COLUMN], f"{float(row[COLUMN]) * FACTOR:g}", *row[COLUMN + 1 :]] for row in rows]
    _next_hour(walk)  # what was asked before belongs to no window that is looked at
    said = f"the same with feature {COLUMN + 1} times {FACTOR:g}"
    yield _hour(walk, monitor, folder, "as usual", rows)
    yield _hour(walk, monitor, folder, said, wrong)


def _hour(walk: Walk, monitor: monitors.Monitor, folder: Path, traffic: str, rows: list[list[str]]) -> Hour:
    runtime = walk.client("sagemaker-runtime", monitor.account)
    for row in rows:
        runtime.invoke_endpoint(EndpointName=monitor.endpoint, ContentType="text/csv", Body=",".join(row))
    here = f"captured/{monitor.endpoint}/AllTraffic/{monitors.now(walk.target):%Y/%m/%d/%H}/"
    wait_until("Every call was captured", CALLED_SECONDS, lambda: _captured(walk, monitor, here) == len(rows))
    window = _next_hour(walk)
    found = wait_until("The analysis", ANALYSED_SECONDS, _result(walk, monitor, window))
    report = monitors.fetch_report(walk.target, monitor, window, folder)
    return Hour(traffic, len(rows), window, found["violations"], report)


def _captured(walk: Walk, monitor: monitors.Monitor, folder: str) -> int:
    """How many calls lie in S3 below the folder."""
    s3 = walk.client("s3", monitor.account)
    items = s3.list_objects_v2(Bucket=monitor.bucket, Prefix=folder).get("Contents", [])
    return sum(s3.get_object(Bucket=monitor.bucket, Key=each["Key"])["Body"].read().count(b"\n") for each in items)


def _result(walk: Walk, monitor: monitors.Monitor, window: str) -> Callable[[], dict[str, Any] | None]:
    def probe() -> dict[str, Any] | None:
        if window not in monitors.windows(walk.target, monitor):
            return None
        return monitors.violations(walk.target, monitor, window)

    return probe


def _next_hour(walk: Walk) -> str:
    """Move the clock just behind the next full hour; the window that ended there."""
    now = monitors.now(walk.target)
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    embedded.clock(walk.running, (hour - now).total_seconds() + 1)
    return f"{hour:%Y/%m/%d/%H}"
