"""What needs an embedded AWS of its own: a stop in the middle of a build, and permissions that are missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from codebuild_rig import ALLOWED, Rig, archive, reason, spec

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
