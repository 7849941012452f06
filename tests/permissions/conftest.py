"""One whole run in four accounts with every decision of IAM written down: training, registration, three endpoints."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import embedded, home
from orchestrator.cli.console import Console
from orchestrator.cli.walk import Walk
from orchestrator.local.authorization.authorizer import Answered
from orchestrator.local.authorization.decision import Decision, Question, decide, statements_about
from orchestrator.local.authorization.policy import Policy, Statement
from tests.e2e.conftest import PIPELINES, finish
from tests.local.conftest import Aws

QUIET = Console(quiet=True)
PROJECT = "mlops-pipeline-breast-cancer-workload"
VARYING = ("aws:currenttime", "aws:epochtime")


@dataclass(frozen=True)
class Recorded:
    """What was asked during the run, each different question once, and the embedded AWS it ran on."""

    aws: Aws
    walk: Walk
    answers: tuple[Answered, ...]
    states: dict[str, str]
    outputs: dict[str, str]

    def about(self, caller: str, action: str, resource: str = "") -> list[Answered]:
        """The questions of callers, for an action, on resources whose names hold these texts."""
        return [
            one
            for one in self.answers
            if caller in one.question.caller.principal_arn
            and one.question.action == action
            and resource in one.question.resource
        ]

    def run(self) -> list[dict[str, Any]]:
        """Start the pipeline again and follow it to its end; its executions of actions, the first first."""
        pipeline = self.walk.client("codepipeline")
        before = pipeline.list_pipeline_executions(pipelineName=PROJECT)["pipelineExecutionSummaries"][0]
        pipeline.start_pipeline_execution(name=PROJECT)
        run = self.walk.wait_for_run(PROJECT, before["pipelineExecutionId"])
        finish(self.walk, PROJECT, run)
        wanted = {"pipelineExecutionId": run}
        found = pipeline.list_action_executions(pipelineName=PROJECT, filter=wanted)["actionExecutionDetails"]
        return sorted(found, key=lambda one: one["startTime"])


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("permissions")
    previous = os.environ.get("MLOPS_HOME")
    os.environ["MLOPS_HOME"] = str(folder / "home")
    aws = Aws(folder / "aws", authorization="enforce")
    heard: dict[Any, Answered] = {}
    aws.embedded.authorizer.hear = lambda answered: heard.setdefault(identity_of(answered), answered)
    try:
        running = home.Running(aws.home, aws.endpoint, os.getpid(), aws.world.accounts, aws.world.region)
        home.activate(aws.home)
        outputs = embedded.install(running, QUIET)
        (folder / "walk").mkdir()
        walk = Walk(running, PIPELINES / "breast-cancer", folder / "walk")
        walk.write_data(outputs["AssetsBucket"])
        repository = walk.repository()
        _two_stages(repository / "mlops-config.json")
        embedded.link_repository(running, repository)
        walk.commit(repository, "first")
        states = finish(walk, PROJECT, walk.wait_for_run(PROJECT))
        time.sleep(0.5)  # what was started last may still ask
        yield Recorded(aws, walk, tuple(heard.values()), states, outputs)
    finally:
        aws.stop()
        if previous is None:
            del os.environ["MLOPS_HOME"]
        else:
            os.environ["MLOPS_HOME"] = previous


def _two_stages(config: Path) -> None:
    """Another stage is another fifth of the time and asks nothing new."""
    document = json.loads(config.read_text())
    document["stages"] = [stage for stage in document["stages"] if stage["name"] != "staging"]
    config.write_text(json.dumps(document))


def identity_of(answered: Answered) -> tuple[Any, ...]:
    """What makes two questions the same."""
    question = answered.question
    kept = tuple(sorted((key, value) for key, value in question.context.items() if key not in VARYING))
    policies = (answered.grants, answered.resource_policy)
    return question.caller.principal_arn, question.action, question.resource, kept, policies, answered.decision


def speaking(policies: Iterable[Policy], question: Question) -> set[str]:
    """The ids of the statements that allow what is asked."""
    return {
        statement.sid
        for policy in policies
        for statement, _ in statements_about(policy, question, [])
        if statement.effect == "Allow"
    }


# ---- deciding again with a statement less ----

NONE: frozenset[str] = frozenset()
Dropped = Callable[[Statement], bool]


def without(policy: Policy | None, drop: Dropped) -> Policy | None:
    """The policy without some statements."""
    if policy is None:
        return None
    return replace(policy, statements=tuple(one for one in policy.statements if not drop(one)))


def again(
    answered: Answered, *, identity: Set[str] = NONE, resource: Set[str] = NONE, boundary: Set[str] = NONE
) -> Decision:
    """The decision when statements of these ids are gone from the caller's policies, the resource's, the boundary."""
    grants = answered.grants
    held = tuple(without(one, lambda s: s.sid in identity) for one in grants.identity or ())
    fewer = replace(
        grants,
        identity=None if grants.identity is None else tuple(one for one in held if one),
        boundary=without(grants.boundary, lambda s: s.sid in boundary),
    )
    return decide(answered.question, fewer, without(answered.resource_policy, lambda s: s.sid in resource))
