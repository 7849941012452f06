"""What needs an embedded AWS of its own: a stop in the middle of a build, and permissions that are missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from codebuild_rig import ALLOWED, HUB, REGION, Rig, archive, reason, spec

from orchestrator.local.authorization.denials import FILE
from orchestrator.local.embedded import EmbeddedAws


def test_a_build_outlives_the_server(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "home")
    go = tmp_path / "go"
    waiting = f"while [ ! -e {go} ]; do sleep 0.05; done"
    buildspec = spec(build=["echo before", waiting, "echo after"], post_build=["true"])
    build = rig.codebuild.start_build(projectName=rig.project(buildspec))["build"]["id"]
    rig.reach(build, "BUILD")
    port = int(rig.embedded.endpoint.rpartition(":")[2])
    rig.embedded.stop()
    go.touch()
    rig.embedded = EmbeddedAws(rig.home, port)
    rig.embedded.start()
    try:
        found = rig.wait(build)
        assert found["buildStatus"] == "SUCCEEDED"
        lines = [line for line in rig.log(found) if line in ("before", "after")]
        assert lines == ["before", "after"]
    finally:
        rig.embedded.stop()


@pytest.mark.parametrize(("action", "words"), [
    ("logs:CreateLogStream", "ACCESS_DENIED: Service role"),
    ("s3:GetObject", "AccessDenied"),
    ("ecr:GetAuthorizationToken", "exit status"),
])  # fmt: skip
def test_a_build_has_the_rights_of_its_role_and_no_others(tmp_path: Path, action: str, words: str) -> None:
    rig = Rig(tmp_path / "home", "enforce")
    try:
        statement: dict[str, Any] = ALLOWED["Statement"][0]  # type: ignore[assignment]
        policy = {**ALLOWED, "Statement": [{**statement, "Action": sorted({*statement["Action"]} - {action})}]}
        project = rig.sourced(spec(build=["aws ecr get-login-password > secret"]), archive(a="b"))
        assert rig.run(project)["buildStatus"] == "SUCCEEDED"
        rig.iam.put_role_policy(RoleName="builder", PolicyName="p", PolicyDocument=json.dumps(policy))
        build = rig.run(project)
        assert build["buildStatus"] == "FAILED"
        assert words in reason(build) or words in str(build["phases"])
    finally:
        rig.embedded.stop()


def test_builds_share_a_log_group_with_the_rights_to_their_own_streams(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "home", "enforce")
    group, stream = "/mlops/mlops-jobs", "churn-image"

    def may(*actions: str) -> None:
        place = f"arn:aws:logs:{REGION}:{HUB}:log-group:{group}:log-stream:{stream}/*"
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": place}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        rig.iam.put_role_policy(RoleName="builder", PolicyName="p", PolicyDocument=policy)

    try:
        rig.logs.create_log_group(logGroupName=group)
        project = rig.project(spec(build=["echo heard"]), logsConfig=logs_config(group, stream))
        may("logs:CreateLogStream", "logs:PutLogEvents")
        builds = [rig.run(project) for _ in range(2)]
        for build in builds:
            assert build["buildStatus"] == "SUCCEEDED", build["phases"]
            assert build["logs"]["groupName"] == group
            assert build["logs"]["streamName"] == f"{stream}/{build['id'].partition(':')[2]}"
            assert rig.log(build).count("heard") == 1

        other = rig.project(spec(build=["true"]), logsConfig=logs_config(group, "another"))
        assert "ACCESS_DENIED: Service role" in reason(rig.run(other))
        nowhere = rig.project(spec(build=["true"]), logsConfig=logs_config("/mlops/none", stream))
        assert "logs:CreateLogStream" in reason(rig.run(nowhere))  # not on the stream of another group

        may("logs:CreateLogStream")
        unheard = rig.run(project)
        assert unheard["buildStatus"] == "SUCCEEDED"
        assert rig.log(unheard) == []
        denied = [json.loads(line)["message"] for line in (rig.home / FILE).read_text().splitlines()]
        place = f"{stream}/{unheard['id'].partition(':')[2]}"
        assert len([one for one in denied if "logs:PutLogEvents" in one and place in one]) == 1
    finally:
        rig.embedded.stop()


def logs_config(group: str, stream: str) -> dict[str, Any]:
    return {"cloudWatchLogs": {"status": "ENABLED", "groupName": group, "streamName": stream}}
