"""Builds: phases in real shells, sources, logs, events, what stops them, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from codebuild_rig import HUB, REGION, Rig, archive, phases, reason, spec

from orchestrator.runtime.building.job import Exit, Job
from orchestrator.runtime.building.supervisor import supervise


def test_commands_are_one_shell_in_the_source_with_the_roles_keys(rig: Rig) -> None:
    buildspec = spec(
        {"shell": "bash", "variables": {"GREETING": "hello", "WHO": "buildspec"}, "exported-variables": ["FOUND"]},
        pre_build=["cd deep", "not_exported=$(cat word.txt)", 'case "$AWS_ACCESS_KEY_ID" in ASIA*) keys=mine ;; esac'],
        build=['[[ "$PWD" == "$CODEBUILD_SRC_DIR/deep" ]]', 'FOUND="$GREETING $WHO $not_exported $keys"'],
    )
    project = rig.sourced(
        buildspec,
        archive(**{"deep/word__txt": "deep"}),
        environment={
            "type": "ARM_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "WHO", "value": "project"}, {"name": "GREETING", "value": "good day"}],
        },
    )
    variables = [{"name": "WHO", "value": "override $(exit 7)"}]
    build = rig.run(project, environmentVariablesOverride=variables)
    assert build["buildStatus"] == "SUCCEEDED", rig.log(build)
    expected = "good day override $(exit 7) deep mine"
    assert build["exportedEnvironmentVariables"] == [{"name": "FOUND", "value": expected}]
    assert [each["phaseType"] for each in build["phases"]] == [
        *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "PRE_BUILD", "BUILD", "FINALIZING", "COMPLETED")
    ]
    assert any("Running command cd deep" in line for line in rig.log(build))


@pytest.mark.parametrize(("word", "ran"), [
    ("", {"BUILD": "FAILED", "POST_BUILD": "SUCCEEDED"}),
    ("ABORT", {"BUILD": "FAILED"}),
    ("CONTINUE", {"BUILD": "FAILED", "POST_BUILD": "SUCCEEDED"}),
])  # fmt: skip
def test_a_failed_command_ends_its_phase_and_what_must_be_done_afterwards_is_done(
    rig: Rig, word: str, ran: dict[str, str]
) -> None:
    failing = {"commands": ["echo one", "exit 3", "echo never"], "finally": ["echo finally"]}
    buildspec = spec(
        build={**failing, **({"on-failure": word} if word else {})},
        post_build=['test "$CODEBUILD_BUILD_SUCCEEDING" = 0'],
    )
    build = rig.run(rig.project(buildspec))
    assert build["buildStatus"] == "FAILED"
    assert {name: status for name, status in phases(build).items() if name != "DOWNLOAD_SOURCE"} == ran
    assert reason(build) == "Error while executing command: exit 3. Reason: exit status 3"
    lines = rig.log(build)
    assert "one" in lines
    assert "finally" in lines
    assert "never" not in lines


def test_what_comes_before_the_build_ends_it(rig: Rig) -> None:
    build = rig.run(rig.project(spec(pre_build=["false"], build=["true"])))
    assert phases(build) == {"DOWNLOAD_SOURCE": "SUCCEEDED", "PRE_BUILD": "FAILED"}


def test_the_version_that_is_asked_for_is_built(rig: Rig) -> None:
    versions = [
        rig.s3.put_object(Bucket="sources", Key="v.zip", Body=archive(word__txt=word))["VersionId"]
        for word in ("first", "second")
    ]
    source = {"type": "S3", "location": "sources/v.zip", "buildspec": spec(build=["grep -qx first word.txt"])}
    project = rig.project("", source=source)
    assert rig.run(project, sourceVersion=versions[0])["resolvedSourceVersion"] == versions[0]
    assert rig.run(project, sourceVersion=versions[0])["buildStatus"] == "SUCCEEDED"
    assert rig.run(project)["buildStatus"] == "FAILED"


@pytest.mark.parametrize(("source", "code"), [
    ({"location": "sources/nowhere.zip"}, "CLIENT_ERROR"),
    ({"location": "sources/broken.zip"}, "CLIENT_ERROR"),
    ({"location": "sources/good.zip", "buildspec": "other.yml"}, "YAML_FILE_ERROR"),
    ({"location": "sources/good.zip", "buildspec": "../../outside.yml"}, "YAML_FILE_ERROR"),
])  # fmt: skip
def test_a_source_that_is_not_there_fails_its_phase(rig: Rig, source: dict[str, str], code: str) -> None:
    rig.s3.put_object(Bucket="sources", Key="broken.zip", Body=b"no zip")
    rig.s3.put_object(Bucket="sources", Key="good.zip", Body=archive(readme__md="x"))
    build = rig.run(rig.project("", source={"type": "S3", **source}))
    assert phases(build) == {"DOWNLOAD_SOURCE": "FAILED"}
    failed = next(each for each in build["phases"] if each.get("phaseStatus") == "FAILED")
    assert failed["contexts"][0]["statusCode"] == code


def test_names_in_a_zip_stay_inside(rig: Rig) -> None:
    build = rig.run(rig.sourced(spec(build=["test -f escaped.txt"]), archive(**{"../../escaped__txt": "x"})))
    assert build["buildStatus"] == "SUCCEEDED", rig.log(build)


def test_the_buildspec_of_the_source_is_used_and_a_wrong_one_names_everything(rig: Rig) -> None:
    good = rig.project("", source={"type": "S3", "location": "sources/own.zip"})
    rig.s3.put_object(Bucket="sources", Key="own.zip", Body=archive(buildspec__yml=spec(build=["true"])))
    assert rig.run(good)["buildStatus"] == "SUCCEEDED"
    wrong = "version: 0.1\nreports: {}\nphases: {build: {commands: [x], run-as: root}, deploy: {commands: [x]}}\n"
    build = rig.run(rig.project(wrong))
    assert build["buildStatus"] == "FAILED"
    for word in ("version: must be 0.2", "reports: not supported", "phases.build.run-as: not supported", "deploy"):
        assert word in reason(build)


def test_a_build_is_stopped_with_all_that_it_started(rig: Rig, tmp_path: Path) -> None:
    tick = tmp_path / "tick"
    loop = f"(while true; do date +%N > {tick}; sleep 0.05; done) & wait"
    build = rig.codebuild.start_build(projectName=rig.project(spec(build=[loop], post_build=["true"])))["build"]["id"]
    deadline = time.monotonic() + 20
    while not tick.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    rig.codebuild.stop_build(id=build)
    assert rig.wait(build)["buildStatus"] == "STOPPED"
    last = tick.read_text()
    time.sleep(0.3)
    assert tick.read_text() == last


def test_time_is_up(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    Job(spec(build=["sleep 60"]), timeout_seconds=0.3, engine="none").write(tmp_path)
    supervise(tmp_path)
    ended = Exit.read(tmp_path)
    assert ended is not None
    assert ended.status == "TIMED_OUT"


def test_a_build_whose_processes_are_killed_is_not_begun_anew(rig: Rig, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    project = rig.project(spec(build=[f"echo $PPID >> {mark}; sleep 300"]))
    build = rig.codebuild.start_build(projectName=project)["build"]["id"]
    deadline = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    (parent,) = mark.read_text().split()  # the supervisor is the parent of the command's shell
    os.kill(int(parent), signal.SIGKILL)
    assert rig.wait(build)["buildStatus"] == "FAULT"
    assert len(mark.read_text().split()) == 1


def test_events_tell_how_it_goes(rig: Rig) -> None:
    sqs, events = rig.client("sqs"), rig.client("events")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    project = rig.project(spec(build=["true"]))
    pattern = {"source": ["aws.codebuild"], "detail": {"project-name": [project]}}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{HUB}:told"}])
    build = rig.run(project)
    told: list[Any] = []
    deadline = time.monotonic() + 20
    while len(told) < 2 and time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []):
            told.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert [each["detail"]["build-status"] for each in told] == ["IN_PROGRESS", "SUCCEEDED"]
    assert {each["detail"]["build-id"] for each in told} == {build["arn"]}


def test_the_same_request_with_the_same_token_is_one_build(rig: Rig) -> None:
    project = rig.project(spec(build=["true"]))
    first, again = (
        rig.codebuild.start_build(projectName=project, idempotencyToken="t")["build"]["id"] for _ in range(2)
    )
    assert first == again
    rig.wait(first)
    other = rig.run(project)["id"]
    assert rig.codebuild.list_builds_for_project(projectName=project)["ids"] == [other, first]
    assert rig.codebuild.list_builds(sortOrder="DESCENDING")["ids"][:2] == [other, first]
    assert rig.look(other)["buildNumber"] == 2


def test_a_state_machine_waits_for_a_build_and_stops_it(rig: Rig) -> None:
    states = rig.client("stepfunctions")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::codebuild:startBuild.sync",
        "Parameters": {"ProjectName.$": "$.project"},
        "End": True,
    }
    definition = json.dumps({"StartAt": "Build", "States": {"Build": task}})
    machine = states.create_state_machine(name="m", definition=definition, roleArn=rig.role)["stateMachineArn"]

    def begin(buildspec: str) -> tuple[str, str]:
        project = rig.project(buildspec)
        text = json.dumps({"project": project})
        return project, states.start_execution(stateMachineArn=machine, input=text)["executionArn"]

    def ended(execution: str) -> Any:
        deadline = time.monotonic() + 30
        while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found

    project, execution = begin(spec(build=["true"]))
    (build,) = [json.loads(ended(execution)["output"])["Build"]]
    assert build["BuildStatus"] == "SUCCEEDED"
    assert build["Id"].startswith(f"{project}:")
    _, execution = begin(spec(build=["exit 4"]))
    failed = ended(execution)
    assert failed["error"] == "States.TaskFailed"
    assert "exit status 4" in failed["cause"]
    project, execution = begin(spec(build=["sleep 300"]))
    deadline = time.monotonic() + 20
    while not (ids := rig.codebuild.list_builds_for_project(projectName=project)["ids"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    rig.reach(ids[0], "BUILD")
    states.stop_execution(executionArn=execution)
    assert rig.wait(ids[0])["buildStatus"] == "STOPPED"


@pytest.mark.parametrize(("changes", "words"), [
    ({"source": {"type": "CODEPIPELINE"}}, ["source.type CODEPIPELINE; use NO_SOURCE, S3"]),
    ({"artifacts": {"type": "S3", "location": "x"}}, ["artifacts.location", "artifacts.type S3"]),
    ({"cache": {"type": "LOCAL"}}, ["cache.type LOCAL"]),
    ({"autoRetryLimit": 2, "badgeEnabled": True}, ["autoRetryLimit, badgeEnabled"]),
    ({"logsConfig": {"s3Logs": {"status": "ENABLED", "location": "x"}}}, ["logsConfig.s3Logs"]),
    ({"source": {"type": "NO_SOURCE"}}, ["a buildspec is required"]),
    ({"source": {"type": "S3", "location": "bucket"}}, ["<bucket>/<key of a zip>"]),
    ({"serviceRole": f"arn:aws:iam::{HUB}:role/nobody"}, ["not authorized to perform: sts:AssumeRole"]),
    ({"name": "no spaces"}, ["must satisfy regular expression"]),
])  # fmt: skip
def test_what_is_not_built_is_refused_by_name(rig: Rig, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ClientError) as error:
        rig.project(spec(build=["true"]), **changes)
    for word in words:
        assert word in str(error.value)


def test_secrets_are_not_fetched_and_batches_not_known(rig: Rig) -> None:
    project = rig.project(spec(build=["true"]))
    secret = [{"name": "S", "value": "x", "type": "SECRETS_MANAGER"}]
    with pytest.raises(ClientError, match="environment variable S of type SECRETS_MANAGER"):
        rig.codebuild.start_build(projectName=project, environmentVariablesOverride=secret)
    with pytest.raises(ClientError, match="does not support codebuild StartBuildBatch"):
        rig.codebuild.start_build_batch(projectName=project)
    with pytest.raises(ClientError, match="Project cannot be found"):
        rig.codebuild.start_build(projectName="nobody")


def test_projects_are_kept_changed_listed_and_removed(rig: Rig) -> None:
    name = rig.project(spec(build=["true"]), description="before", vpcConfig={"vpcId": "vpc-1"})
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        rig.project(spec(build=["true"]), name=name)
    changed = rig.codebuild.update_project(name=name, description="after", vpcConfig={})["project"]
    assert changed["description"] == "after"
    assert "vpcConfig" not in changed
    assert name in rig.codebuild.list_projects()["projects"]
    rig.codebuild.delete_project(name=name)
    answer = rig.codebuild.batch_get_projects(names=[name])
    assert (answer["projects"], answer["projectsNotFound"]) == ([], [name])
