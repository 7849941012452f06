"""Show the whole product on this machine, with no AWS account: from a Git commit to live endpoints in three accounts.

Starts a fresh embedded AWS, uploads a data set that ships inside scikit-learn, commits an mlops-config.json, and
follows the CodePipeline through training, registration, approvals and three deployments. Then it asks each endpoint
over HTTP and compares the answers with the model evaluated in this process, and lets a monitor find drift in what the
dev endpoint is asked.

The demo approves by itself and says so; --interactive stops at each approval. The embedded AWS stays up afterwards,
so that you can go on; `mlops local down` stops it. With --check everything is stopped at the end and any
disagreement is an error.
"""

from __future__ import annotations

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli import embedded, home
from orchestrator.cli.console import Console, command, table

SUMMARY = "show the whole product on this machine, in a few minutes"
TOLERANCE = 1e-4


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--example", default="breast-cancer", help="a folder of pipelines/ (default breast-cancer)")
    parser.add_argument("--interactive", action="store_true", help="ask at each approval instead of approving")
    parser.add_argument("--check", action="store_true", help="stop the embedded AWS at the end; for CI")


@dataclass(slots=True)
class Clock:
    """Seconds since the demo began, for the progress lines."""

    started: float

    def __str__(self) -> str:
        return f"{time.monotonic() - self.started:6.1f} s"


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.cli.drift import has_monitor
    from orchestrator.cli.verbs.init import examples
    from orchestrator.cli.walk import Walk
    from orchestrator.errors import NotFound

    found = examples()
    if arguments.example not in found:
        raise NotFound(f"There is no example {arguments.example}.", hint=f"Choose one of: {', '.join(found)}.")
    folder, clock = home.home("demo"), Clock(time.monotonic())
    console.step("1. An embedded AWS starts, and the orchestrator is installed in its accounts")
    embedded.reset(folder)
    try:
        running = embedded.start(folder, console)
        outputs = embedded.install(running, console)
        console.say(f"  {clock}  API at {outputs['ApiUrl']}")
        workplace = folder / "workplace"
        shutil.rmtree(workplace, ignore_errors=True)
        workplace.mkdir(parents=True)
        walk = Walk(running, found[arguments.example], workplace)
        project, repository = _commit(walk, outputs, clock, console)
        _follow(walk, project, clock, console, interactive=arguments.interactive)
        rows = _ask(walk, project, clock, console)
        watched = _watch(walk, clock, console) if has_monitor(walk.example) else True
        _conclude(rows, project, repository, clock, console, stays=not arguments.check)
    finally:
        if arguments.check:
            embedded.stop(folder)
    return 0 if watched and all(row["agrees"] == "yes" for row in rows) else 7


def _commit(walk: Any, outputs: dict[str, str], clock: Clock, console: Console) -> tuple[str, str]:
    """Data to S3, config to Git; returns the project and the repository's folder."""
    from orchestrator.cli.drift import has_monitor, let_endpoints_capture

    console.step("2. A data set is uploaded, and mlops-config.json is committed to Git")
    for key in walk.write_data(outputs["AssetsBucket"]):
        console.say(f"  {clock}  s3://{outputs['AssetsBucket']}/{key}")
    repository = walk.repository()
    if has_monitor(walk.example):
        let_endpoints_capture(walk, repository)
    embedded.link_repository(walk.running, repository)
    commit = walk.commit(repository, "Train, register and serve")
    console.say(f"  {clock}  commit {commit[:10]} in {repository}")
    console.step("3. The commit is noticed: the orchestrator validates, plans, renders and provisions")
    project = f"mlops-pipeline-{walk.config['model_name']}-workload"
    walk.wait_for_run(project)
    console.say(f"  {clock}  CodePipeline {project}")
    return project, str(repository)


def _follow(walk: Any, project: str, clock: Clock, console: Console, *, interactive: bool) -> None:
    """Follow the run to its end, answering the approvals."""
    from orchestrator.cli.walk import WalkFailed

    console.step("4. The CodePipeline runs: train, register, deploy, approve, promote")
    failed = None
    for event in walk.follow(project, walk.wait_for_run(project)):
        if event.approval:
            console.say(f"  {clock}  {event.stage:16} {event.action:22} waits for approval")
            _show_evidence(walk, project, event.action, console)
            _answer(walk, project, event.approval, console, interactive=interactive)
        elif event.status != "InProgress":
            console.say(f"  {clock}  {event.stage:16} {event.action:22} {event.status}  {event.summary}".rstrip())
        failed = event if event.status == "Failed" else failed
    if failed:
        raise WalkFailed(
            f"{failed.stage}/{failed.action} of {project} failed: {failed.summary}", hint=f"mlops status {project}"
        )


def _show_evidence(walk: Any, project: str, action: str, console: Console) -> None:
    """What a reviewer looks at before answering: the model's metrics, or what would change in the stage."""
    from orchestrator.aws import Aws
    from orchestrator.cli.verbs.status import metrics
    from orchestrator.status import project_status

    walk.target.enter()
    for approval in project_status(Aws(walk.target.settings()), project).approvals:
        if approval.action != action:
            continue
        for line in metrics(approval):
            console.say(f"             {line}")
        for change in approval.changes:
            console.say(f"             {change['action']:6} {change['type']}  {change['resource']}")


def _answer(walk: Any, project: str, approval: Any, console: Console, *, interactive: bool) -> None:
    if interactive:
        while input(f"           approve {approval.action}? [y] ").strip().lower() not in ("", "y", "yes"):
            console.say("           (the pipeline waits; answer y, or press Ctrl-C and use `mlops reject`)")
    walk.approve(project, approval, "Approved by the demo" if not interactive else "Approved by you")
    if not interactive:
        console.say(f"           the demo approves {approval.action} by itself")


def _ask(walk: Any, project: str, clock: Clock, console: Console) -> list[dict[str, Any]]:
    """Ask each stage's endpoint for the rows that were kept back and compare."""
    from orchestrator.aws import Aws
    from orchestrator.deployed import endpoints
    from orchestrator.runs import targets

    console.step("5. Each endpoint answers over HTTP")
    walk.target.enter()
    aws = Aws(walk.target.settings())
    rows = []
    for endpoint in endpoints(aws, targets(aws, project)):
        reference = walk.reference_predictions(endpoint.model_data_url)
        answers = walk.endpoint_predictions(endpoint.account, endpoint.name)
        gap = max(abs(a - b) for a, b in zip(reference, answers, strict=True))
        rows.append(
            {
                "stage": endpoint.stage,
                "account": endpoint.account,
                "endpoint": endpoint.name,
                "status": endpoint.status,
                "rows": len(answers),
                "accuracy": f"{walk.accuracy(answers):.3f}",
                "agrees": "yes" if gap <= TOLERANCE else f"no (off by {gap:.2g})",
            }
        )
    console.say(f"  {clock}  {len(rows)} endpoints asked")
    return rows


def _watch(walk: Any, clock: Clock, console: Console) -> bool:
    """A monitor of the dev endpoint; whether it was silent when it should be, and found what it should find."""
    from orchestrator.cli import drift

    console.step("6. A monitor watches the dev endpoint: a baseline, then an analysis every hour")
    project = drift.attach(walk)
    console.say(f"  {clock}  {project}: the baseline is made, the schedule runs (its clock is moved forward here)")
    hours = []
    for hour in drift.watch(walk, project, walk.folder / "reports"):
        hours.append(hour)
        count = len(hour.violations)
        console.say(f"  {clock}  {hour.rows} calls, {hour.traffic}: {count} violation{'' if count == 1 else 's'}")
        for each in hour.violations:
            console.say(f"             {each['constraint_check_type']}: {each['description']}")
    console.say(f"  {clock}  report: {hours[-1].report}")
    usual, wrong = hours
    return not usual.violations and bool(wrong.violations)


def _conclude(
    rows: list[dict[str, Any]], project: str, repository: str, clock: Clock, console: Console, *, stays: bool
) -> None:
    """The table, and what to try next."""
    columns = ["stage", "account", "endpoint", "status", "rows", "accuracy", "agrees"]
    console.say()
    console.data({"project": project, "endpoints": rows}, table(rows, columns))
    console.say(
        f"\n`agrees`: the answers over HTTP equal the model evaluated in this process. Took {str(clock).strip()}."
    )
    if stays:
        mlops, folder = command(), Path(repository)
        console.say("\nThe embedded AWS is still up. Try:")
        console.say(f"  {mlops} status {project}")
        console.say(f"  {mlops} invoke {project} --stage prod --file {folder.parent / 'test.csv'}")
        console.say(f"  {mlops} logs {project} --stage prod")
        if (folder / "monitor.json").exists():
            console.say(f"  {mlops} monitor list --project {folder.name}-watch")
        console.say(f"  edit {folder / 'mlops-config.json'}, git commit, {mlops} status {project} --watch")
        console.say(f"  {mlops} local info      its URL, accounts and API, for boto3, curl and the AWS CLI")
        console.say(f"  {mlops} local down      stop it")
