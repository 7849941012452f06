"""Configs that a connection brings as an artifact of a pipeline, and those of buckets that EventBridge tells of."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from typing import Any

import pytest

from orchestrator.blueprint import load_catalog
from orchestrator.commits import LARGEST_CHECKOUT_BYTES, Checkout
from orchestrator.errors import BadRequest, Conflict
from orchestrator.handler import Orchestrator
from tests.corridor.cloud import Cloud, job_event
from tests.corridor.test_handler import BODY

CATALOG = load_catalog()
ARTIFACTS = "mlops-artifacts"


def archive(**files: bytes | tuple[bytes, int]) -> bytes:
    """A zip as the source action makes it; a mode may follow the data. ``__`` stands for a slash."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as members:
        for name, given in files.items():
            data, mode = given if isinstance(given, tuple) else (given, stat.S_IFREG | 0o644)
            member = zipfile.ZipInfo(name.replace("__", "/").replace("_json", ".json").replace("_py", ".py"))
            member.external_attr = mode << 16
            members.writestr(member, data)
    return buffer.getvalue()


def brought(cloud: Cloud, data: bytes, *inputs: str) -> dict[str, Any]:
    """The job of the action that gets these artifacts."""
    cloud.objects[ARTIFACTS, "config-mlops/Repository/a1"] = {"Body": data, "ETag": "1"}
    event = job_event("7", {"do": "provision", "commit": "team/models@abc"})
    places = [{"location": {"s3Location": {"bucketName": ARTIFACTS, "objectKey": key}}} for key in inputs]
    event["CodePipeline.job"]["data"]["inputArtifacts"] = places
    return event


def answer(cloud: Cloud, event: dict[str, Any]) -> tuple[str, Any]:
    """What CodePipeline was told: the operation and its words."""
    aws = cloud.aws()
    assert Orchestrator(aws.settings, aws, CATALOG).handle(event, "r") is None
    _, name, parameters = next(entry for entry in reversed(cloud.log) if "put_job" in entry[1])
    if name.endswith("failure_result"):
        return "failed", parameters["failureDetails"]["message"]
    return "done", parameters["executionDetails"]["summary"]


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud()
    made.answers["codepipeline.put_job_success_result"] = made.answers["codepipeline.put_job_failure_result"] = {}
    return made


def test_every_config_of_a_commit_is_provisioned(cloud: Cloud) -> None:
    other = {**BODY, "model_name": "other"}
    data = archive(
        mlops__mlops_config_json=b"", **{"mlops-config_json": json.dumps(BODY).encode()},
        **{"b__mlops-config_json": json.dumps(other).encode()},
    )  # fmt: skip
    how, told = answer(cloud, brought(cloud, data, "config-mlops/Repository/a1"))
    assert (how, told) == ("done", "b/mlops-config.json: created; mlops-config.json: created")
    assert len(cloud.stacks) == 2
    subjects = [one["Subject"] for one in cloud.published]
    assert subjects == ["mlops-config.json: created"] * 2
    cloud.settle()
    how, told = answer(cloud, brought(cloud, data, "config-mlops/Repository/a1"))
    assert told == "b/mlops-config.json: unchanged; mlops-config.json: unchanged"


def test_one_wrong_config_fails_the_action_and_not_the_others(cloud: Cloud) -> None:
    data = archive(**{"a__mlops-config_json": b"{", "b__mlops-config_json": json.dumps(BODY).encode()})
    how, told = answer(cloud, brought(cloud, data, "config-mlops/Repository/a1"))
    assert how == "failed" and "a/mlops-config.json: refused" in told and "is not JSON" in told
    assert len(cloud.stacks) == 1


def test_a_commit_without_config_is_none_of_ours(cloud: Cloud) -> None:
    how, told = answer(cloud, brought(cloud, archive(readme=b""), "config-mlops/Repository/a1"))
    assert (how, told) == ("done", "no mlops-config.json in team/models@abc")


@pytest.mark.parametrize("inputs", [(), ("a", "b")])
def test_a_job_without_one_artifact_is_refused(cloud: Cloud, inputs: tuple[str, ...]) -> None:
    how, told = answer(cloud, brought(cloud, b"", *inputs))
    assert how == "failed" and "needs one artifact" in told


def checkout(data: bytes) -> Checkout:
    cloud = Cloud()
    cloud.objects["b", "k"] = {"Body": data, "ETag": "1"}
    return Checkout(cloud.aws(), "b", "k", "r@c")


def test_folders_are_relative_to_the_config_and_stay_inside() -> None:
    commit = checkout(
        archive(
            a__code__train_py=(b"print()", stat.S_IFREG | 0o755),
            a__code__lib__x_py=b"x",
            secret_py=b"s",
            **{"a__mlops-config_json": b"{}"},
        )
    )
    folder = commit.folder_beside("a/mlops-config.json")
    files = folder("code")
    assert files is not None and set(files) == {"train.py", "lib/x.py"}
    assert files["train.py"].executable and not files["lib/x.py"].executable
    assert set(folder("..") or {}) == {"a/code/train.py", "a/code/lib/x.py", "a/mlops-config.json", "secret.py"}
    assert folder("absent") is None and folder("../..") is None and folder("/etc") is None
    assert folder("./code/") == files


def test_what_is_no_commit_is_refused() -> None:
    with pytest.raises(BadRequest, match="is no zip"):
        checkout(b"not a zip")
    linked = checkout(archive(code__passwd=(b"/etc/passwd", stat.S_IFLNK | 0o777)))
    with pytest.raises(BadRequest, match="symbolic link"):
        linked.folder_beside("mlops-config.json")("code")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as members:
        for number in range(3):
            members.writestr(f"{number}.bin", bytes(LARGEST_CHECKOUT_BYTES // 3 + 1))
    with pytest.raises(BadRequest, match="larger than 200,000,000 bytes"):
        checkout(buffer.getvalue())


# ---- a bucket that is not ours ----


def told_by_eventbridge(key: str) -> dict[str, Any]:
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "team"}, "object": {"key": key, "version-id": "3"}},
    }


def test_a_config_in_a_bucket_of_the_user_is_answered_beside_it(cloud: Cloud) -> None:
    key = "a+b %2F c/mlops-config.json"  # EventBridge does not encode keys
    cloud.objects["team", key] = {"Body": json.dumps(BODY).encode(), "ETag": "1"}
    aws = cloud.aws()
    assert Orchestrator(aws.settings, aws, CATALOG).handle(told_by_eventbridge(key), "r") is None
    result = json.loads(cloud.objects["team", f"{key}.result.json"]["Body"])
    assert result["outcome"] == "created" and result["version"] == "3"


def test_it_is_raised_when_it_may_go_well_later(cloud: Cloud) -> None:
    cloud.objects["team", "mlops-config.json"] = {"Body": json.dumps(BODY).encode(), "ETag": "1"}
    aws = cloud.aws()
    orchestrator = Orchestrator(aws.settings, aws, CATALOG)
    orchestrator.handle(told_by_eventbridge("mlops-config.json"), "r")
    cloud.objects["team", "mlops-config.json"]["Body"] = json.dumps(
        {**BODY, "inference_instance": "ml.m5.xlarge"}
    ).encode()
    with pytest.raises(Conflict):
        orchestrator.handle(told_by_eventbridge("mlops-config.json"), "r")
