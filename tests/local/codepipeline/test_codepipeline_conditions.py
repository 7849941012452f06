"""Conditions before a stage: who is let in, who goes past it, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from codepipeline_play import Play, declared
from codepipeline_rig import Project, approval

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline import commands, machine
from tests.local.waiting import until

RULE_TYPE = {"category": "Rule", "owner": "AWS", "provider": "VariableCheck", "version": "1"}


def unless(variable: str, value: str, operator: str = "NE") -> dict[str, Any]:
    configuration = {"Variable": variable, "Value": value, "Operator": operator}
    rule = {"name": "Check", "ruleTypeId": RULE_TYPE, "configuration": configuration}
    return {"conditions": [{"result": "SKIP", "rules": [rule]}]}


def stages(operator: str = "NE", value: str = "Approved", **review: Any) -> list[dict[str, Any]]:
    entry = unless("#{src.Status}", value, operator)
    return [
        {"name": "Source", "actions": [declared("Take", category="Source", namespace="src")]},
        {"name": "Review", "actions": [declared("Ask")], "beforeEntry": entry, **review},
        {"name": "Deploy", "actions": [declared("Put")]},
    ]


def played(status: str, operator: str = "NE", value: str = "Approved") -> Play:
    play = Play(stages=stages(operator, value))
    play.start("a")
    play.end("Take", variables={"Status": status})
    return play


@pytest.mark.parametrize("status, operator, value, enters", [
    ("Approved", "NE", "Approved", False),
    ("Rejected", "NE", "Approved", True),
    ("PendingManualApproval", "NE", "Approved", True),
    ("Approved", "EQ", "Approved", True),
    ("approved", "EQ", "Approved", False),
    ("v1.2", "MATCHES", r"v\d+\.\d+", True),
    ("v1.2-beta", "MATCHES", r"v\d+\.\d+", False),
    ("v1.2-beta", "CONTAINS", "beta", True),
    ("v1.2", "CONTAINS", "beta", False),
])  # fmt: skip
def test_the_rule_decides(status: str, operator: str, value: str, enters: bool) -> None:
    play = played(status, operator, value)
    assert play.running() == (["Ask"] if enters else ["Put"])
    assert play.stages("a")["Review"] == ("InProgress" if enters else "Skipped")


def test_a_skipped_stage_is_told_and_the_next_execution_is_not_kept_waiting() -> None:
    play = played("Approved")
    assert play.news("Stage") == ["STARTED", "SUCCEEDED", "STARTED", "SKIPPED", "STARTED"]
    play.start("b")
    play.end("Take", variables={"Status": "Rejected"})
    assert play.running("b") == ["Ask"]
    play.walk("Put")
    assert play.status("a") == "Succeeded"


def test_a_last_stage_that_is_skipped_ends_the_execution() -> None:
    play = Play(stages=stages()[:2])
    play.start("a")
    play.end("Take", variables={"Status": "Approved"})
    assert (play.status("a"), play.running()) == ("Succeeded", [])


def test_without_the_variable_nobody_can_say_and_the_execution_fails() -> None:
    play = Play(stages=stages())
    play.start("a")
    play.end("Take")
    assert (play.status("a"), play.stages("a")["Review"]) == ("Failed", "Failed")
    assert "#{src.Status}" in play.scene.executions["a"]["summary"]
    commands.retry(play.scene, play.scene.executions["a"], "Review", "ALL_ACTIONS")
    machine.advance(play.scene)
    assert (play.status("a"), play.running()) == ("Failed", []), "the condition is asked again, not passed by"
    assert len(play.scene.executions["a"]["stages"]["Review"]["rules"]) == 2


def test_an_automatic_retry_asks_again_too_and_ends() -> None:
    play = Play(stages=stages(onFailure={"result": "RETRY"}))
    play.start("a")
    play.end("Take")
    assert (play.status("a"), play.running()) == ("Failed", [])
    assert len(play.scene.executions["a"]["stages"]["Review"]["rules"]) == 2


def test_a_failed_action_is_retried_without_asking_the_condition_again() -> None:
    play = played("Rejected")
    play.end("Ask", "Failed", error={"code": "JobFailed", "message": "no"})
    commands.retry(play.scene, play.scene.executions["a"], "Review", "FAILED_ACTIONS")
    machine.advance(play.scene)
    assert play.running() == ["Ask"]
    assert len(play.scene.executions["a"]["stages"]["Review"]["rules"]) == 1


def test_a_skipped_stage_is_neither_retried_nor_rolled_back() -> None:
    play = played("Rejected")
    play.walk("Ask", "Put")
    play.start("b")
    play.end("Take", variables={"Status": "Approved"})
    with pytest.raises(ServiceError, match="can't be retried"):
        commands.retry(play.scene, play.scene.executions["b"], "Review", "ALL_ACTIONS")
    with pytest.raises(ServiceError, match="the stage was skipped"):
        commands.roll_back(play.scene, "c", "Review", play.scene.executions["a"], "me")


def test_a_later_stage_still_rolls_back_by_itself() -> None:
    play = Play(stages=[*stages()[:2], {**stages()[2], "onFailure": {"result": "ROLLBACK"}}])
    for name in ("a", "b"):
        play.start(name)
        play.end("Take", variables={"Status": "Approved"})
        play.end("Put", "Succeeded" if name == "a" else "Failed", error={"code": "JobFailed", "message": "no"})
    assert play.running() == ["Put"]
    play.end("Put")
    (rollback,) = [each for each in play.scene.executions.values() if each["type"] == "ROLLBACK"]
    assert (rollback["status"], rollback["rollbackTarget"], list(rollback["stages"])) == ("Succeeded", "a", ["Deploy"])


# --- as the API shows it


def test_the_api_shows_the_condition_before_while_and_after(project: Project) -> None:
    project.upload(a="1")
    ask, last = approval(), approval("Last")
    ask["beforeEntry"] = unless("#{variables.status}", "Approved")
    variables = [{"name": "status", "defaultValue": "Rejected"}]
    first = project.create(ask, last, variables=variables)
    project.approve("Ask")
    project.approve("Last")
    project.succeed(first)
    state = project.state("Ask")
    assert state["latestExecution"]["status"] == "Succeeded"
    assert state["beforeEntryConditionState"]["latestExecution"] == {"status": "Succeeded"}

    second = project.start(variables=[{"name": "status", "value": "Approved"}])
    project.approve("Last")
    project.succeed(second)
    assert [each["actionName"] for each in project.actions(second)] == ["Take", "Approve"]
    state = project.state("Ask")
    assert state["latestExecution"] == {"pipelineExecutionId": second, "status": "Skipped", "type": "STANDARD"}
    (condition,) = state["beforeEntryConditionState"]["conditionStates"]
    assert condition["latestExecution"]["status"] == "Failed"
    (rule,) = condition["ruleStates"]
    assert (rule["ruleName"], rule["latestExecution"]["status"]) == ("Check", "Failed")
    assert "beforeEntryConditionState" not in project.state("Last")


def test_rule_executions_are_listed_newest_first(project: Project) -> None:
    project.upload(a="1")
    ask = approval()
    ask["beforeEntry"] = unless("#{variables.status}", "Approved")
    first = project.create(ask, variables=[{"name": "status", "defaultValue": "Rejected"}])
    until(lambda: project.state("Ask").get("latestExecution"))
    shown = project.state("Ask")["beforeEntryConditionState"]["conditionStates"][0]["ruleStates"][0]
    project.approve()
    project.succeed(first)
    second = project.start(variables=[{"name": "status", "value": "Approved"}])
    project.succeed(second)
    api = project.codepipeline
    newest, oldest = api.list_rule_executions(pipelineName="p")["ruleExecutionDetails"]
    assert [newest["pipelineExecutionId"], oldest["pipelineExecutionId"]] == [second, first]
    assert (newest["status"], oldest["status"]) == ("Failed", "Succeeded")
    assert oldest["ruleExecutionId"] == shown["latestExecution"]["ruleExecutionId"]
    assert newest["input"]["resolvedConfiguration"]["Variable"] == "Approved"
    assert newest["input"]["configuration"]["Variable"] == "#{variables.status}"
    assert newest["input"]["ruleTypeId"] == RULE_TYPE
    for wanted in (
        {"pipelineExecutionId": first},
        {"latestInPipelineExecution": {"pipelineExecutionId": first, "startTimeRange": "Latest"}},
    ):
        assert api.list_rule_executions(pipelineName="p", filter=wanted)["ruleExecutionDetails"] == [oldest]


def test_a_stage_nobody_has_come_to_shows_its_rules(project: Project) -> None:
    last = approval("Last")
    last["beforeEntry"] = unless("#{variables.status}", "Approved")
    project.upload(a="1")
    project.create(approval(), last, variables=[{"name": "status", "defaultValue": "Rejected"}])
    state = project.state("Last")["beforeEntryConditionState"]
    assert state == {"conditionStates": [{"ruleStates": [{"ruleName": "Check"}]}]}
