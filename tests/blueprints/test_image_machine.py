"""The state machine of image builds, run through every way it can go, with a source, a repository and builds that are
played; and its buildspec, in a real shell."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from resolving import stack_of
from test_machine_runs import Deployed, example, output

from orchestrator.local.services.states.errors import StateFailure

SECOND_RUN = "ffffffff-1111-2222-3333-444455556666"
Play = dict[str, Any]


class Played:
    """S3, ECR and CodeBuild, as far as the machine calls them; ``outcome`` is how the next build ends."""

    def __init__(self, outcome: str = "SUCCEEDED", mutability: str = "IMMUTABLE") -> None:
        self.outcome, self.mutability = outcome, mutability
        self.source: Play | None = {"ETag": '"1"', "VersionId": "v1"}
        self.tags: dict[str, str] = {}
        self.builds: list[Play] = []
        self.refused, self.pushes, self.repository = False, True, True
        self.failed_phase: Play | None = {
            "PhaseType": "BUILD",
            "PhaseStatus": "FAILED",
            "Contexts": [{"StatusCode": "COMMAND_EXECUTION_ERROR", "Message": "exit status 1"}],
        }

    def head_object(self, request: Play) -> Play:
        if self.source is None:
            raise StateFailure("S3.S3Exception", "Not Found")
        return {**self.source, "Metadata": {}}

    def batch_get_image(self, request: Play) -> Play:
        if not self.repository:
            raise StateFailure("Ecr.RepositoryNotFoundException", "The repository does not exist.")
        wanted = [image["ImageTag"] for image in request["ImageIds"]]
        return {"Images": [{"ImageId": {"ImageDigest": self.tags[tag]}} for tag in wanted if tag in self.tags]}

    def describe_repositories(self, request: Play) -> Play:
        return {"Repositories": [{"ImageTagMutability": self.mutability}]}

    def start_build(self, request: Play) -> Play:
        if self.refused:
            raise StateFailure("CodeBuild.AccountLimitExceededException", "Cannot have more than 1 builds in queue")
        variables = {each["Name"]: each["Value"] for each in request["EnvironmentVariablesOverride"]}
        phases: list[Play] = [{"PhaseType": "SUBMITTED", "PhaseStatus": "SUCCEEDED", "Contexts": [{"Message": ""}]}]
        if self.outcome != "SUCCEEDED" and self.failed_phase:
            phases.append(self.failed_phase)
        build = {
            "Id": f"build:{len(self.builds)}",
            "BuildStatus": self.outcome,
            "StartTime": "1970-01-01T00:00:05Z",
            "Phases": [*phases, {"PhaseType": "COMPLETED"}],
            "request": request,
            "variables": variables,
        }
        self.builds.append(build)
        if self.outcome != "SUCCEEDED":
            raise StateFailure("States.TaskFailed", json.dumps({"Build": build}))
        if self.pushes:
            digest = f"sha256:{len(self.builds):064x}"
            self.tags |= dict.fromkeys([*variables["TAGS"].split(), variables["FINGERPRINT"]], digest)
        return {"Build": build}

    def list_builds_for_project(self, request: Play) -> Play:
        assert request["SortOrder"] == "DESCENDING"
        return {"Ids": [build["Id"] for build in reversed(self.builds)]}

    def batch_get_builds(self, request: Play) -> Play:
        return {"Builds": [build for build in self.builds if build["Id"] in request["Ids"]]}


def machine(name: str = "every_option", pipeline: str = "image") -> Deployed:
    return Deployed(example(f"image_build/{name}"), pipeline)


def test_an_image_is_built_once_and_then_found() -> None:
    played = Played()
    first = output(machine().run(played))
    (build,) = played.builds
    repository = "111111111111.dkr.ecr.us-east-1.amazonaws.com/churn/serve"
    digest = played.tags["1.0.3"]
    assert first == {
        "ImageUri": f"{repository}@{digest}",
        "TaggedImageUri": f"{repository}:1.0.3",
        "ImageDigest": digest,
        "ImageRepositoryArn": "arn:aws:ecr:us-east-1:111111111111:repository/churn/serve",
    }
    assert build["request"]["SourceVersion"] == "v1"
    assert build["variables"]["TAGS"] == "1.0.3 1.0 1"
    assert output(machine().run(played, SECOND_RUN)) == first
    assert len(played.builds) == 1


def test_another_version_of_the_same_source_is_not_built_again() -> None:
    played = Played()
    output(machine().run(played))
    played.source = {"ETag": '"1"', "VersionId": "v2"}
    output(machine().run(played, SECOND_RUN))
    assert len(played.builds) == 1


@pytest.mark.parametrize(("mutability", "builds"), [("MUTABLE", 2), ("IMMUTABLE", 1)])
def test_a_changed_source_is_built_where_its_tag_may_move(mutability: str, builds: int) -> None:
    played = Played(mutability=mutability)
    first = output(machine().run(played))
    played.source = {"ETag": '"2"', "VersionId": "v2"}
    document = machine().run(played, SECOND_RUN)
    assert len(played.builds) == builds
    if builds == 1:
        assert document["error"] == "TagTaken"
        assert "churn/serve:1.0.3" in document["cause"]
    else:
        assert output(document)["ImageDigest"] != first["ImageDigest"]


@pytest.mark.parametrize(("change", "error", "cause"), [
    ({"outcome": "FAILED"}, "BuildFailed", "The build build:0 failed in phase BUILD: exit status 1"),
    ({"outcome": "STOPPED", "failed_phase": None}, "BuildEnded", "The build build:0 ended as STOPPED."),
    ({"refused": True}, "BuildNotStarted", "Cannot have more than 1 builds in queue"),
    ({"pushes": False}, "ImageNotPushed", "has no image of it."),
    ({"source": None}, "SourceMissing", "s3://churn-images/serve/context.zip cannot be read: Not Found"),
    ({"source": {"ETag": "1"}}, "SourceNotVersioned", "The bucket churn-images keeps no versions"),
    ({"repository": False}, "RepositoryMissing", "The repository churn/serve cannot be read: The repository does not"),
])  # fmt: skip
def test_a_failure_carries_its_reason(change: Play, error: str, cause: str) -> None:
    played = Played()
    for name, value in change.items():
        setattr(played, name, value)
    document = machine().run(played)
    assert (document["status"], document["error"]) == ("FAILED", error)
    assert cause in document["cause"]


def test_the_reason_is_not_that_of_an_earlier_build() -> None:
    played = Played("FAILED")
    machine().run(played)
    played.builds[0]["StartTime"] = "1960-01-01T00:00:00Z"
    played.refused = True
    assert machine().run(played, SECOND_RUN)["error"] == "BuildNotStarted"


# ---- the buildspec ----

RECORDER = """#!/bin/sh
printf '%s\\0' "$(basename "$0")" "$@" > "$RECORD.$$"
"""
HOSTILE = "A=$(touch hacked) `touch hacked` \"; touch hacked; ' && touch hacked #\nB=* ~ $HOME"


def test_what_a_config_says_is_never_part_of_a_command(tmp_path: Path) -> None:
    chosen = example("image_build/every_option")
    project = stack_of(chosen, chosen.plan.pipelines[0])["Build"]
    spec = yaml.safe_load(project["Source"]["BuildSpec"])
    assert spec["env"]["shell"] == "bash"
    for name in ("docker", "aws"):
        (tmp_path / name).write_text(RECORDER)
        (tmp_path / name).chmod(0o755)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").touch()
    variables = {
        "DOCKERFILE": "Dockerfile",
        "PLATFORM": "linux/arm64",
        "TARGET": "serve",
        "BUILD_ARGUMENTS": HOSTILE,
        "REPOSITORY": "r",
        "TAGS": "one two",
        "REGISTRIES": "1.dkr.ecr.eu-west-1.amazonaws.com 2.dkr.ecr.us-east-1.amazonaws.com",
        "FINGERPRINT": "made-from-x",
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "RECORD": str(tmp_path / "record"),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    }
    for phase in ("pre_build", "build", "post_build"):
        for command in spec["phases"][phase]["commands"]:
            subprocess.run(["bash", "-c", command], env=variables, cwd=context, check=True)
    asked = {tuple(file.read_text().split("\0")[:-1]) for file in tmp_path.glob("record.*")}
    (build,) = [words for words in asked if words[:2] == ("docker", "build")]
    given = [build[index + 1] for index, word in enumerate(build) if word == "--build-arg"]
    assert given == HOSTILE.split("\n")
    assert build[-1] == "."
    assert {words[2] for words in asked if words[:2] == ("docker", "push")} == {"r:one", "r:two", "r:made-from-x"}
    assert ("aws", "ecr", "get-login-password", "--region", "eu-west-1") in asked
    assert not list(tmp_path.rglob("hacked"))
