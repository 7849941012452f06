"""The monitors of a project as they are deployed: their schedules, their results in S3, and an analysis at once."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.aws import Aws
from orchestrator.cli import embedded
from orchestrator.cli.target import Target
from orchestrator.errors import AwsFailed, BadRequest, NotFound
from orchestrator.runs import followed, in_stages, targets

VIOLATIONS, REPORT = "constraint_violations.json", "report.html"
WINDOW = re.compile(r"(\d{4}/\d{2}/\d{2}/\d{2})/" + re.escape(VIOLATIONS) + "$")
ENDED = frozenset({"Completed", "Failed", "Stopped"})
POLL_SECONDS = {True: 0.3, False: 5.0}
"""How long to wait between two looks at a job: in the embedded AWS, and in the real one."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor in one stage. ``name`` is its pipeline's; ``schedule`` is empty for those of Model Monitor."""

    name: str
    stage: str
    account: str
    region: str
    monitor: str
    endpoint: str
    results: str
    schedule: str
    alarm: str = ""

    @property
    def bucket(self) -> str:
        """The bucket of the results."""
        return self.results.partition("/")[0]

    @property
    def prefix(self) -> str:
        """What the keys of the results begin with."""
        return f"{self.results.partition('/')[2]}/"


def deployed(aws: Aws, project: str) -> tuple[Monitor, ...]:
    """The project's monitors, stage by stage. Raises NotFound when there is no such project."""
    found = []
    for place in followed(aws, in_stages(targets(aws, project))):
        outputs = _outputs(aws, place.account, place.region, place.stack)
        if "MonitorName" not in outputs:
            continue
        stage = place.stage.removeprefix("Deploy-")
        found.append(
            Monitor(
                name=place.name.removeprefix(f"{project}-").removesuffix(f"-{stage}"),
                stage=stage,
                account=place.account,
                region=place.region,
                monitor=outputs["MonitorName"],
                endpoint=outputs["EndpointName"],
                results=outputs["ResultsLocation"],
                schedule=outputs.get("ScheduleName", ""),
                alarm=outputs.get("AlarmName", ""),
            )
        )
    return tuple(found)


def _outputs(aws: Aws, account: str, region: str, stack: str) -> dict[str, str]:
    try:
        answer = aws.call("cloudformation", "describe_stacks", account=account, region=region, StackName=stack)
    except AwsFailed as error:
        if error.code == "ValidationError":  # not deployed yet
            return {}
        raise
    return {each["OutputKey"]: each["OutputValue"] for each in answer["Stacks"][0].get("Outputs", [])}


def chosen(monitors: tuple[Monitor, ...], name: str, stage: str) -> Monitor:
    """The one that is meant by the name of its pipeline or its own. Raises NotFound or BadRequest with the names."""
    fitting = [one for one in monitors if name in ("", one.name, one.monitor) and stage in ("", one.stage)]
    names = ", ".join(f"{one.name} --stage {one.stage}" for one in monitors) or "none"
    if not fitting:
        raise NotFound(f"There is no monitor {name or 'at all'}{f' in {stage}' if stage else ''}.", hint=names)
    if len(fitting) > 1:
        raise BadRequest("Which monitor?", hint=f"Say one of: {names}.")
    return fitting[0]


# ---- what they found ----


def windows(target: Target, monitor: Monitor) -> dict[str, datetime]:
    """The windows with results, ``yyyy/mm/dd/hh``, oldest first, and when each was written last."""
    with _told(monitor):
        pages = _client(target, monitor, "s3").get_paginator("list_objects_v2")
        objects = [
            each
            for page in pages.paginate(Bucket=monitor.bucket, Prefix=monitor.prefix)
            for each in page.get("Contents", [])
        ]
    found = {match[1]: each["LastModified"] for each in objects if (match := WINDOW.search(each["Key"]))}
    return dict(sorted(found.items()))


def violations(target: Target, monitor: Monitor, window: str) -> dict[str, Any]:
    """``constraint_violations.json`` of a window."""
    with _told(monitor):
        answer = _client(target, monitor, "s3").get_object(
            Bucket=monitor.bucket, Key=f"{monitor.prefix}{window}/{VIOLATIONS}"
        )
        document: dict[str, Any] = json.loads(answer["Body"].read())
    return document


def fetch_report(target: Target, monitor: Monitor, window: str, folder: Path) -> Path | None:
    """Bring the page of a window into the folder; None where there is none, as of a window without calls."""
    path = folder / f"{monitor.monitor}-{window.replace('/', '-')}.html"
    folder.mkdir(parents=True, exist_ok=True)
    client = _client(target, monitor, "s3")
    key = f"{monitor.prefix}{window}/{REPORT}"
    with _told(monitor):
        if not client.list_objects_v2(Bucket=monitor.bucket, Prefix=key).get("KeyCount"):
            return None
        client.download_file(monitor.bucket, key, str(path))
    return path


# ---- their schedules ----


def schedule(aws: Aws, monitor: Monitor) -> dict[str, Any]:
    """GetSchedule; empty for monitors of Model Monitor."""
    if not monitor.schedule:
        return {}
    return aws.call("scheduler", "get_schedule", account=monitor.account, region=monitor.region, Name=monitor.schedule)


def next_start(expression: str, now: datetime) -> str:
    """When a cron expression says so next; empty for a rate, whose beginning is not told."""
    if not expression.startswith("cron"):
        return ""
    try:
        from orchestrator.local.services.events.schedule import parse
    except ImportError:  # an installation without the embedded AWS
        return ""
    at = parse(expression).after(now.timestamp())
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" if at else ""


def alarm_state(aws: Aws, monitor: Monitor) -> str:
    """OK, ALARM or INSUFFICIENT_DATA; empty without an alarm."""
    if not monitor.alarm:
        return ""
    names = [monitor.alarm]
    answer = aws.call("cloudwatch", "describe_alarms", account=monitor.account, region=monitor.region, AlarmNames=names)
    return next((str(each["StateValue"]) for each in answer.get("MetricAlarms", [])), "")


def now(target: Target) -> datetime:
    """The time there; the embedded AWS may be ahead."""
    if target.running is None:
        return datetime.now(UTC)
    return datetime.fromisoformat(embedded.clock(target.running)["now"])


# ---- an analysis at once ----


def start(target: Target, aws: Aws, monitor: Monitor, until: str) -> str:
    """Start what the schedule would start at that time; the name of the job. Raises BadRequest where it cannot."""
    found = schedule(aws, monitor)
    if not found:
        raise BadRequest(
            f"{monitor.name} is a monitor of SageMaker Model Monitor, which starts by its own schedule only.",
            hint=f"aws sagemaker list-monitoring-executions --monitoring-schedule-name {monitor.monitor}",
        )
    text = found["Target"]["Input"].replace("<aws.scheduler.execution-id>", uuid.uuid4().hex[:16])
    request = json.loads(text.replace("<aws.scheduler.scheduled-time>", until))
    with _told(monitor):
        _client(target, monitor, "sagemaker").create_processing_job(**request)
    return str(request["ProcessingJobName"])


def wait(target: Target, monitor: Monitor, job: str, say: Callable[[str], None]) -> Mapping[str, Any]:
    """Wait for the job to end, telling each new state; DescribeProcessingJob."""
    client, last = _client(target, monitor, "sagemaker"), ""
    while True:
        with _told(monitor):
            described: dict[str, Any] = client.describe_processing_job(ProcessingJobName=job)
        status = described["ProcessingJobStatus"]
        if status != last:
            say(f"  {job}  {status}")
            last = status
        if status in ENDED:
            return described
        time.sleep(POLL_SECONDS[target.running is not None])


def _client(target: Target, monitor: Monitor, service: str) -> Any:
    return target.client(service, monitor.account)


class _Told:
    """Turns botocore's errors into AwsFailed; on AWS, these calls are made with the user's own credentials."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import ClientError

        if isinstance(error, ClientError):
            told = error.response["Error"]
            hint = f"The monitor is in account {self.monitor.account}; --profile takes credentials of it."
            raise AwsFailed(str(told["Code"]), str(told["Message"]), hint=hint) from error


def _told(monitor: Monitor) -> _Told:
    return _Told(monitor)


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The violations of a window, a line each."""
    for each in document.get("violations", []):
        yield f"  {each['constraint_check_type']:30} {each['description']}"
