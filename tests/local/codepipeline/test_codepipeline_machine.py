"""The state machine of executions, played with values: actions end as the test says, and states are compared."""

from __future__ import annotations

from typing import Any

import pytest
from codepipeline_play import STAGES, Play, declared

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline import commands, machine


def test_actions_run_by_run_order_and_stages_one_after_another() -> None:
    play = Play()
    play.start("a")
    assert play.running() == ["Take"]
    play.end("Take")
    assert play.running() == ["One", "Two"]
    play.end("Two")
    assert play.running() == ["One"]
    play.end("One")
    assert play.running() == ["Three"]
    play.end("Three")
    assert play.stages("a") == {"Source": "Succeeded", "Build": "Succeeded", "Deploy": "InProgress"}
    play.end("Put")
    assert play.status("a") == "Succeeded"
    assert play.news("Pipeline") == ["STARTED", "SUCCEEDED"]
    assert play.news("Stage") == ["STARTED", "SUCCEEDED"] * 3
    assert play.news("Action").count("SUCCEEDED") == 5


def test_a_failed_action_fails_the_stage_when_the_others_are_through() -> None:
    play = Play()
    play.start("a")
    play.end("Take")
    play.end("One", "Failed", error={"code": "JobFailed", "message": "no"})
    assert (play.status("a"), play.running()) == ("InProgress", ["Two"])
    play.end("Two")
    assert (play.status("a"), play.running()) == ("Failed", [])
    assert play.stages("a")["Build"] == "Failed"
    assert play.news("Pipeline") == ["STARTED", "FAILED"]


def test_outputs_become_variables_and_artifacts_of_later_actions() -> None:
    stages = [
        {"name": "Source", "actions": [declared("Take", namespace="src", outputArtifacts=[{"name": "Bundle"}])]},
        {"name": "Use", "actions": [declared("Put", inputArtifacts=[{"name": "Bundle"}], configuration={
            "A": "#{src.Version}/#{variables.level}/#{codepipeline.PipelineExecutionId}"})]},
    ]  # fmt: skip
    play = Play(stages=stages, variables=[{"name": "level", "defaultValue": "low"}])
    play.start("a", variables=[{"name": "level", "value": "high"}])
    revision = {"name": "Bundle", "revisionId": "v1", "revisionSummary": "", "created": 1.0}
    play.end("Take", variables={"Version": "v1"}, revision=revision)
    (put,) = [action for action in play.scene.actions.values() if action["action"] == "Put"]
    assert put["configuration"] == {"A": "v1/high/a"}
    assert put["inputs"]["Bundle"]["bucket"] == "store"
    assert put["inputs"]["Bundle"]["revision"] == "v1"
    assert play.scene.executions["a"]["revisions"] == [{**revision, "actionName": "Take"}]


def test_an_unresolved_variable_fails_the_action_before_it_begins() -> None:
    stages = [STAGES[0], {"name": "Use", "actions": [declared("Put", configuration={"A": "#{src.Version}"})]}]
    play = Play(stages=stages)
    play.start("a")
    play.end("Take")
    assert play.status("a") == "Failed"
    (put,) = [action for action in play.scene.actions.values() if action["action"] == "Put"]
    assert put["error"]["message"] == "Unable to resolve the following variable(s): #{src.Version}"


@pytest.mark.parametrize("variables, reason", [
    ([], "without a value: level"),
    ([{"name": "other", "value": "1"}], "declares no variable(s) other"),
])  # fmt: skip
def test_pipeline_variables_are_checked_at_the_start(variables: list[dict[str, str]], reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        Play(variables=[{"name": "level"}]).start("a", variables=variables)
    assert reason in caught.value.message


def test_queued_executions_enter_a_stage_in_line() -> None:
    play = Play("QUEUED")
    for name in "abc":
        play.start(name)
    assert play.running() == ["Take"]
    play.end("Take", execution="a")
    play.end("Take", execution="b")
    assert [play.running(name) for name in "abc"] == [["One", "Two"], [], ["Take"]]
    play.end("Take", execution="c")
    play.walk("One", "Two", "Three", execution="a")
    assert [play.running(name) for name in "abc"] == [["Put"], ["One", "Two"], []]
    play.end("One", "Failed", execution="b")
    play.end("Two", execution="b")
    assert [play.status(name) for name in "abc"] == ["InProgress", "Failed", "InProgress"]
    assert play.running("c") == ["One", "Two"]


def test_superseded_executions_are_overtaken_while_they_wait() -> None:
    play = Play("SUPERSEDED")
    for name in "abc":
        play.start(name)
    assert [play.status(name) for name in "abc"] == ["InProgress", "Superseded", "InProgress"]
    play.end("Take", execution="a")
    play.end("Take", execution="c")
    play.start("d")
    play.end("Take", execution="d")
    assert play.status("c") == "Superseded"
    assert "SUPERSEDED" in play.news("Pipeline")
    play.walk("One", "Two", "Three", execution="a")
    assert play.running("d") == ["One", "Two"]


def test_parallel_executions_do_not_wait() -> None:
    play = Play("PARALLEL")
    for name in "ab":
        play.start(name)
    assert play.running("a") == play.running("b") == ["Take"]
    play.walk("Take", "One", "Two", execution="b")
    play.walk("Take", "One", "Two", execution="a")
    assert play.running("a") == play.running("b") == ["Three"]


def test_the_line_has_an_end() -> None:
    play = Play("QUEUED")
    for number in range(50):
        play.start(f"e{number}")
    with pytest.raises(ServiceError, match="ConcurrentPipelineExecutionsLimitExceededException"):
        play.start("one too many")


def test_a_closed_transition_holds_executions() -> None:
    play = Play()
    play.start("a")
    commands.close_transition(play.scene, "Build", "Inbound", "not now", "me")
    play.end("Take")
    assert (play.running(), play.status("a")) == ([], "InProgress")
    commands.open_transition(play.scene, "Build", "Inbound")
    machine.advance(play.scene)
    assert play.running() == ["One", "Two"]
    commands.close_transition(play.scene, "Build", "Outbound", "not yet", "me")
    play.walk("One", "Two", "Three")
    assert play.running() == []


def test_stop_and_wait_lets_actions_finish() -> None:
    play = Play()
    play.start("a")
    play.end("Take")
    commands.stop(play.scene, play.scene.executions["a"], abandon=False, reason="enough")
    machine.advance(play.scene)
    assert (play.status("a"), play.running()) == ("Stopping", ["One", "Two"])
    with pytest.raises(ServiceError, match="DuplicatedStopRequestException"):
        commands.stop(play.scene, play.scene.executions["a"], abandon=False, reason="")
    play.walk("One", "Two")
    assert (play.status("a"), play.running()) == ("Stopped", [])
    assert play.stages("a")["Build"] == "Stopped"
    assert play.news("Pipeline") == ["STARTED", "STOPPING", "STOPPED"]


def test_stop_and_abandon_waits_for_nothing() -> None:
    play = Play()
    play.start("a")
    play.end("Take")
    commands.stop(play.scene, play.scene.executions["a"], abandon=False, reason="")
    commands.stop(play.scene, play.scene.executions["a"], abandon=True, reason="now")
    machine.advance(play.scene)
    assert (play.status("a"), play.running()) == ("Stopped", [])
    assert play.news("Action").count("ABANDONED") == 2
    with pytest.raises(ServiceError, match="PipelineExecutionNotStoppableException"):
        commands.stop(play.scene, play.scene.executions["a"], abandon=True, reason="")


def test_a_waiting_execution_stops_at_once() -> None:
    play = Play()
    play.start("a")
    play.start("b")
    commands.stop(play.scene, play.scene.executions["b"], abandon=False, reason="")
    machine.advance(play.scene)
    assert play.status("b") == "Stopped"


@pytest.mark.parametrize("mode, again", [("FAILED_ACTIONS", ["Two"]), ("ALL_ACTIONS", ["One", "Two"])])
def test_retry_runs_failed_or_all_actions_again(mode: str, again: list[str]) -> None:
    play = Play()
    play.start("a")
    play.walk("Take", "One")
    play.end("Two", "Failed")
    commands.retry(play.scene, play.scene.executions["a"], "Build", mode)
    machine.advance(play.scene)
    assert (play.status("a"), play.running()) == ("InProgress", again)
    play.walk(*again, "Three", "Put")
    assert play.status("a") == "Succeeded"
    assert play.news("Pipeline") == ["STARTED", "FAILED", "RESUMED", "SUCCEEDED"]
    assert play.scene.notes[-1].detail["pipeline-execution-attempt"] == 2


def test_a_stopped_stage_can_be_retried() -> None:
    play = Play()
    play.start("a")
    play.end("Take")
    commands.stop(play.scene, play.scene.executions["a"], abandon=True, reason="")
    machine.advance(play.scene)
    commands.retry(play.scene, play.scene.executions["a"], "Build", "FAILED_ACTIONS")
    machine.advance(play.scene)
    assert play.running() == ["One", "Two"]


def test_retry_is_refused_where_it_makes_no_sense() -> None:
    play = Play()
    play.start("a")
    with pytest.raises(ServiceError, match="has not failed"):
        commands.retry(play.scene, play.scene.executions["a"], "Source", "ALL_ACTIONS")
    play.end("Take", "Failed")
    play.start("b")
    with pytest.raises(ServiceError, match="another execution has entered"):
        commands.retry(play.scene, play.scene.executions["a"], "Source", "ALL_ACTIONS")
    play.scene.pipeline["version"] = 2
    with pytest.raises(ServiceError, match="structure has changed"):
        commands.retry(play.scene, play.scene.executions["a"], "Source", "ALL_ACTIONS")


def deploying(**on_failure: Any) -> Play:
    return Play(stages=[STAGES[0], {"name": "Deploy", "onFailure": on_failure, "actions": [
        declared("Put", inputArtifacts=[{"name": "Bundle"}])]}])  # fmt: skip


def test_a_failed_stage_rolls_back_to_its_last_success() -> None:
    play = deploying(result="ROLLBACK")
    play.start("a")
    play.walk("Take", "Put")
    play.start("b")
    play.start("c")
    play.end("Take", execution="b")
    play.end("Take", execution="c")
    play.end("Put", "Failed", execution="b")
    assert play.status("b") == "Failed"
    rollback = play.scene.executions[play.scene.pipeline["stages"]["Deploy"]["latest"]]
    assert (rollback["type"], rollback["rollbackTarget"]) == ("ROLLBACK", "a")
    assert rollback["trigger"]["triggerType"] == "AutomatedRollback"
    assert '"FailedPipelineExecutionId":"b"' in rollback["trigger"]["triggerDetail"]
    assert rollback["artifacts"] == play.scene.executions["a"]["artifacts"]
    assert play.running("c") == []  # the rollback goes first
    play.end("Put", execution=rollback["id"])
    assert rollback["status"] == "Succeeded"
    play.end("Put", "Failed", execution="c")
    second = play.scene.executions[play.scene.pipeline["stages"]["Deploy"]["latest"]]
    assert second["rollbackTarget"] == "a"  # never a rollback itself


def test_a_failed_rollback_is_not_rolled_back() -> None:
    play = deploying(result="ROLLBACK")
    play.start("a")
    play.walk("Take", "Put")
    play.start("b")
    play.end("Take", execution="b")
    play.end("Put", "Failed")
    play.end("Put", "Failed")
    assert (play.running(), len(play.scene.executions)) == ([], 3)


def test_without_an_earlier_success_there_is_no_rollback() -> None:
    play = deploying(result="ROLLBACK")
    play.start("a")
    play.end("Take")
    play.end("Put", "Failed")
    assert (play.status("a"), list(play.scene.executions)) == ("Failed", ["a"])


def test_a_success_under_an_earlier_structure_is_no_target() -> None:
    play = deploying(result="ROLLBACK")
    play.start("a")
    play.walk("Take", "Put")
    play.scene.pipeline["version"] = 2
    play.start("b")
    play.end("Take")
    play.end("Put", "Failed")
    assert list(play.scene.executions) == ["a", "b"]


def test_a_failed_stage_retries_itself_once() -> None:
    play = deploying(result="RETRY", retryConfiguration={"retryMode": "ALL_ACTIONS"})
    play.start("a")
    play.end("Take")
    play.end("Put", "Failed")
    assert (play.status("a"), play.running()) == ("InProgress", ["Put"])
    play.end("Put", "Failed")
    assert play.status("a") == "Failed"
    assert play.scene.executions["a"]["stages"]["Deploy"]["retryTrigger"] == "AutomatedStageRetry"


def test_roll_back_by_hand_and_its_refusals() -> None:
    play = deploying()
    play.start("a")
    play.walk("Take", "Put")
    play.start("b")
    play.walk("Take", "Put")
    target = play.scene.executions["a"]
    commands.roll_back(play.scene, "r", "Deploy", target, "me")
    machine.advance(play.scene)
    with pytest.raises(ServiceError, match="currently running"):
        commands.roll_back(play.scene, "s", "Deploy", target, "me")
    play.end("Put")
    assert play.status("r") == "Succeeded"
    for stage, execution, reason in [
        ("Source", "a", "source stage"),
        ("Deploy", "r", "did not succeed in the stage as a standard"),
    ]:
        with pytest.raises(ServiceError, match=reason):
            commands.roll_back(play.scene, "s", stage, play.scene.executions[execution], "me")


def test_an_update_cancels_what_runs_under_the_old_structure() -> None:
    stages = [STAGES[0], {"name": "Ask", "actions": [declared("Approve", category="Approval")]}, STAGES[1]]
    play = Play(stages=stages)
    play.start("a")
    play.end("Take", execution="a")
    play.start("b")
    play.end("Take", execution="b")
    play.start("c")
    play.scene.pipeline["version"] = 2
    machine.advance(play.scene)
    assert [play.status(name) for name in "abc"] == ["Cancelled", "Cancelled", "InProgress"]
    play.end("Take", execution="c")  # an action with work outside is waited for
    assert play.status("c") == "Cancelled"
    assert play.stages("a")["Ask"] == "Cancelled"
    play.start("d")
    play.end("Take", execution="d")
    assert play.running() == ["Approve"]
