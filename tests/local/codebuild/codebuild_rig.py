"""An embedded AWS with a role for builds and a versioned bucket for their sources; builds are started and awaited."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import yaml

from orchestrator.local.embedded import EmbeddedAws

HUB, REGION = "111111111111", "us-east-1"
REPOSITORY = f"{HUB}.dkr.ecr.{REGION}.amazonaws.com/algorithms"
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "codebuild:BatchGetBuilds",
                "codebuild:StartBuild",
                "codebuild:StopBuild",
                "ecr:GetAuthorizationToken",
                "ecr:PutImage",
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:PutObject",
            ],
            "Resource": "*",
        }
    ],
}


def trust(*services: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def spec(env: dict[str, Any] | None = None, **phases: Any) -> str:
    """A buildspec; a phase may be its list of commands."""
    full = {name: phase if isinstance(phase, dict) else {"commands": phase} for name, phase in phases.items()}
    return yaml.safe_dump({"version": 0.2, **({"env": env} if env else {}), "phases": full})


def archive(**files: str) -> bytes:
    """A zip; two underscores in a name are a dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, text in files.items():
            packed.writestr(name.replace("__", "."), text)
    return buffer.getvalue()


class Rig:
    """One embedded AWS for many builds."""

    def __init__(self, home: Path, authorization: str = "report") -> None:
        self.home = home
        self.embedded = EmbeddedAws(home, authorization=authorization)
        self.embedded.start()
        self.codebuild, self.s3, self.ecr, self.iam, self.logs = (
            self.client(name) for name in ("codebuild", "s3", "ecr", "iam", "logs")
        )
        role = self.iam.create_role(
            RoleName="builder", AssumeRolePolicyDocument=trust("codebuild.amazonaws.com", "states.amazonaws.com")
        )
        self.role = role["Role"]["Arn"]
        self.iam.put_role_policy(RoleName="builder", PolicyName="p", PolicyDocument=json.dumps(ALLOWED))
        self.s3.create_bucket(Bucket="sources")
        self.s3.put_bucket_versioning(Bucket="sources", VersioningConfiguration={"Status": "Enabled"})
        self.ecr.create_repository(repositoryName="algorithms", imageTagMutability="IMMUTABLE")
        self.projects = 0

    def client(self, service: str) -> Any:
        return self.embedded.world.client(service, HUB, REGION)

    def settings(self, **settings: Any) -> None:
        """Write ``builds.json``; without settings it is taken away."""
        file = self.home / "builds.json"
        file.write_text(json.dumps(settings)) if settings else file.unlink(missing_ok=True)

    def project(self, buildspec: str, **changes: Any) -> str:
        """Make a project without a source."""
        self.projects += 1
        request = {
            "name": f"project-{self.projects}",
            "source": {"type": "NO_SOURCE", "buildspec": buildspec},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            "serviceRole": self.role,
            **changes,
        }
        return str(self.codebuild.create_project(**request)["project"]["name"])

    def sourced(self, buildspec: str, source: bytes, **changes: Any) -> str:
        """Make a project whose source is this zip."""
        key = f"source-{self.projects}.zip"
        self.s3.put_object(Bucket="sources", Key=key, Body=source)
        return self.project(
            buildspec, source={"type": "S3", "location": f"sources/{key}", "buildspec": buildspec}, **changes
        )

    def look(self, build: str) -> dict[str, Any]:
        """The build as it is."""
        (found,) = self.codebuild.batch_get_builds(ids=[build])["builds"]
        return dict(found)

    def wait(self, build: str, seconds: float = 30) -> dict[str, Any]:
        """The build when it is over."""
        deadline = time.monotonic() + seconds
        while not (found := self.look(build))["buildComplete"]:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def reach(self, build: str, phase: str, seconds: float = 30) -> None:
        """Wait until the build is in the phase."""
        deadline = time.monotonic() + seconds
        while (found := self.look(build))["currentPhase"] != phase:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def run(self, project: str, **overrides: Any) -> dict[str, Any]:
        """Start a build and wait for it."""
        return self.wait(self.codebuild.start_build(projectName=project, **overrides)["build"]["id"])

    def log(self, build: dict[str, Any]) -> list[str]:
        """What the build printed."""
        where = build["logs"]
        found = self.logs.get_log_events(
            logGroupName=where["groupName"], logStreamName=where["streamName"], startFromHead=True
        )
        return [event["message"] for event in found["events"]]

    def image(self, tag: str) -> dict[str, Any] | None:
        """The image of the tag in the repository."""
        found = self.ecr.batch_get_image(repositoryName="algorithms", imageIds=[{"imageTag": tag}])["images"]
        return dict(found[0]) if found else None


def phases(build: dict[str, Any]) -> dict[str, str]:
    """Phase -> status of those that ran commands."""
    ran = ("DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
    return {each["phaseType"]: each["phaseStatus"] for each in build["phases"] if each["phaseType"] in ran}


def reason(build: dict[str, Any]) -> str:
    """The message of the first phase that failed."""
    return next(
        str(each["contexts"][0]["message"]) for each in build["phases"] if each.get("phaseStatus", "") == "FAILED"
    )
