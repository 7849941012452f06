"""Crashes: actions die around everything they write down, processes stop anywhere, and nothing is done twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from codepipeline_rig import ACCOUNT, REGION, ROLE, Project, action, add_role, approval

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.codepipeline.action import Action, Success
from orchestrator.local.services.codepipeline.actions import find_actions
from orchestrator.local.services.codepipeline.work import Work
from orchestrator.local.store import Document, Key
from tests.local.waiting import until

TYPES = {f"{key[0]}/{key[2]}": kind for key, kind in find_actions().items()}


class Crash(BaseException):
    """The process is gone."""


class Dying(Work):
    """Work whose process dies before or after it has written something down for the n-th time."""

    def __init__(self, world: Any, key: Key, document: Document, life: Iterator[str]) -> None:
        super().__init__(world, key, document)
        self._life = life

    def remember(self, **members: Any) -> None:
        fate = next(self._life, "live")
        if fate == "before":
            raise Crash
        super().remember(**members)
        if fate == "after":
            raise Crash


class Machines(Service):
    """Step Functions with executions that are over at once."""

    name = "stepfunctions"

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self.started: list[str] = []

    def StartExecution(self, call: Call, parameters: Document) -> Document:
        if parameters["name"] in self.started:
            raise ServiceError("ExecutionAlreadyExists", "there is one")
        self.started.append(parameters["name"])
        arn = f"{parameters['stateMachineArn'].replace(':stateMachine:', ':execution:')}:{parameters['name']}"
        return {"executionArn": arn, "startDate": 1.0}

    def DescribeExecution(self, call: Call, parameters: Document) -> Document:
        assert parameters["executionArn"].rpartition(":")[2] in self.started
        return {
            "executionArn": parameters["executionArn"],
            "stateMachineArn": "m",
            "status": "SUCCEEDED",
            "startDate": 1.0,
        }


class Functions(Service):
    """Lambda that only counts."""

    name = "lambda"

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self.invoked: list[Document] = []

    def Invoke(self, call: Call, parameters: Document) -> Document:
        self.invoked.append(parameters)
        return {"StatusCode": 202}


@contextmanager
def small_aws(home: Path) -> Iterator[Any]:
    embedded = EmbeddedAws(home, services=(Machines, Functions))
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.stop()


def place(aws: Any, configuration: dict[str, str]) -> Key:
    """An action execution in progress, as the engine leaves it."""
    key = Key(ACCOUNT, REGION, "codepipeline", "ActionExecution", f"p/{uuid.uuid4()}/{uuid.uuid4()}")
    document = {
        "region": REGION, "stage": "S", "action": "A", "declaration": {}, "configuration": configuration, "inputs": {},
        "outputs": {}, "started": aws.world.now(), "memory": {}, "status": "InProgress",
        "role": ROLE, "pipelineRole": ROLE,
    }  # fmt: skip
    aws.world.store.put(key, document)
    return key


def survive(aws: Any, kind: Action, key: Key, fates: list[str], tell: Callable[[Document], Document | None]) -> Success:
    """Step until it succeeds, with a fresh process after each crash; ``tell`` plays the rest of the world."""
    life = iter(fates)
    for _ in range(20):
        document = aws.world.store.get(key)
        try:
            outcome = kind.advance(Dying(aws.world, key, document, life))
        except Crash:
            continue
        if isinstance(outcome, Success):
            return outcome
        if more := tell(aws.world.store.get(key)["memory"]):
            aws.world.store.update(key, lambda document, more=more: document["memory"].update(more))
    raise AssertionError("it does not end")


FATES = [[*["live"] * number, fate] for number in range(4) for fate in ("before", "after")]


@pytest.mark.parametrize("fates", FATES, ids="-".join)
def test_a_state_machine_is_started_once(tmp_path: Path, fates: list[str]) -> None:
    with small_aws(tmp_path) as aws:
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m"
        key = place(aws, {"StateMachineArn": arn})
        outcome = survive(aws, TYPES["Invoke/StepFunctions"], key, fates, lambda memory: None)
        assert aws.services["stepfunctions"].started == [key.name.split("/")[2]]
        assert outcome.variables["ExecutionArn"].endswith(key.name.split("/")[2])


@pytest.mark.parametrize("fates", FATES, ids="-".join)
def test_a_function_has_one_job(tmp_path: Path, fates: list[str]) -> None:
    with small_aws(tmp_path) as aws:
        key = place(aws, {"FunctionName": "f"})

        def answer(memory: Document) -> Document | None:
            return {"result": {"status": "Succeeded"}, "answered": 0} if memory.get("invoked") else None

        survive(aws, TYPES["Invoke/Lambda"], key, fates, answer)
        jobs = aws.world.store.list("codepipeline", "Job")
        payloads = [bytes(each["Payload"]).decode() for each in aws.services["lambda"].invoked]
        assert len(jobs) == 1
        assert all(jobs[0][0].name in payload for payload in payloads)
        assert len(payloads) <= 2  # at least once, as AWS; always the same job


@pytest.mark.parametrize("fates", FATES, ids="-".join)
def test_an_approval_keeps_its_token(tmp_path: Path, fates: list[str]) -> None:
    with small_aws(tmp_path) as aws:
        topic = aws.world.client("sns", ACCOUNT, REGION).create_topic(Name="t")["TopicArn"]
        key, tokens = place(aws, {"NotificationArn": topic}), set()

        def answer(memory: Document) -> Document:
            tokens.add(memory["token"])
            return {"answer": {"status": "Approved", "summary": "yes"}}

        assert survive(aws, TYPES["Approval/Manual"], key, fates, answer).summary == "yes"
        assert len(tokens) == 1


def test_a_run_goes_on_after_every_restart(project: Project) -> None:
    """A restart at each station of a run: waiting for approval with the same token, between, and inside actions."""
    aws = project.aws
    project.upload(a="b")
    machine = aws.client("stepfunctions").create_state_machine(
        name="m",
        definition='{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": true}}}',
        roleArn=add_role(aws, "machine", Service="states.amazonaws.com"),
    )["stateMachineArn"]
    run = action("Invoke", "StepFunctions", "Run", configuration={"StateMachineArn": machine}, namespace="run")
    identity = project.create({"name": "Run", "actions": [run]}, approval(CustomData="#{run.ExecutionArn}"))
    until(lambda: project.latest("Run", "Run").get("externalExecutionId"))
    aws.restart()
    token = project.token()
    aws.restart()
    assert project.token() == token
    aws.world.tasks.stop()  # the answer is accepted, but the process dies before anything follows from it
    project.answer("Approved", token)
    assert project.execution(identity)["status"] == "InProgress"
    aws.restart()
    project.succeed(identity)
    assert len(aws.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]) == 1
    assert [each["actionName"] for each in project.actions(identity)] == ["Take", "Run", "Approve"]


def test_a_stage_is_skipped_once_whenever_the_process_dies(project: Project) -> None:
    aws, last = project.aws, approval("Last")
    project.upload(a="b")
    skipped = approval("Skipped")
    configuration = {"Variable": "#{source.VersionId}", "Value": "none", "Operator": "EQ"}
    rule_type = {"category": "Rule", "owner": "AWS", "provider": "VariableCheck", "version": "1"}
    rule = {"name": "Check", "ruleTypeId": rule_type, "configuration": configuration}
    skipped["beforeEntry"] = {"conditions": [{"result": "SKIP", "rules": [rule]}]}
    identity = project.create(approval(), skipped, last)
    token = project.token()
    aws.world.tasks.stop()  # the answer is accepted, but the process dies before anything follows from it
    project.answer("Approved", token)
    aws.restart()
    project.token("Last")
    aws.restart()
    assert project.state("Skipped")["latestExecution"]["status"] == "Skipped"
    project.approve("Last")
    project.succeed(identity)
    assert len(project.codepipeline.list_rule_executions(pipelineName="p")["ruleExecutionDetails"]) == 1


def test_what_was_not_told_is_told_after_a_restart(project: Project) -> None:
    aws, sqs = project.aws, project.aws.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    pattern = '{"source": ["aws.codepipeline"], "detail-type": ["CodePipeline Pipeline Execution State Change"]}'
    aws.client("events").put_rule(Name="r", EventPattern=pattern)
    target = {"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}
    aws.client("events").put_targets(Rule="r", Targets=[target])
    project.upload(a="b")
    aws.world.tasks.stop()
    project.create(approval())
    assert len(aws.world.store.list("codepipeline", "News")) == 1
    aws.restart()
    (message,) = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert '"state":"STARTED"' in message["Body"]
