"""The closed set of derived values."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.derived import Derived, digest, shorten
from orchestrator.errors import BlueprintBroken
from orchestrator.expressions import evaluate
from orchestrator.images import ImageUnknown
from orchestrator.model import Stage
from orchestrator.settings import Settings


@pytest.fixture
def derived(settings: Settings, tmp_path: Path) -> Derived:
    stage = Stage("dev", "222222222222", "us-east-1")
    return Derived(settings, stage, "mlops-pipeline-churn-workload-endpoint-dev", (tmp_path,), {"config": {"a": 1}})


def test_names_fit_and_stay_distinct(derived: Derived) -> None:
    assert derived.name("Breast Cancer", "endpoint", "dev") == "breast-cancer-endpoint-dev"
    long = derived.name("m" * 60, "endpoint", "dev")
    assert len(long) == 63
    assert long != derived.name("m" * 60, "endpoint", "prod")
    assert derived.name("a", None, limit=10) == "a"


@given(st.text(alphabet=string.ascii_letters + "-_. ", min_size=1).filter(str.isalpha), st.integers(20, 100))
def test_a_name_is_a_name_for_sagemaker(text: str, limit: int) -> None:
    import re

    name = shorten(text.lower(), limit)
    assert len(name) <= limit
    assert re.fullmatch(r"[a-z0-9](-*[a-z0-9])*", name)


def test_hashes_depend_on_values_and_not_on_order_or_on_what_is_missing() -> None:
    assert digest({"a": 1, "b": None}) == digest({"a": 1})
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest("x")) == 8


def test_places_in_s3(derived: Derived) -> None:
    for written in ("bucket/a/b", "s3://bucket/a/b/", "bucket/a/b/"):
        assert derived.location(written) == "bucket/a/b"
        assert derived.location_bucket(written) == "bucket"
        assert derived.location_key(written) == "a/b"
    assert derived.s3_uri("models/m.tar.gz") == "s3://assets/models/m.tar.gz"
    assert derived.s3_uri("s3://other/m.tar.gz") == "s3://other/m.tar.gz"
    assert derived.s3_uri(None) is None
    assert derived.s3_folder("models/v1/m.tar.gz") == "s3://assets/models/v1"
    assert derived.s3_folder("s3://other/weights/") == "s3://other/weights"
    assert derived.s3_folder("m.tar.gz") == "s3://assets"
    assert derived.s3_arn("s3://b/k") == "arn:aws:s3:::b/k"
    assert derived.s3_arns(["b.csv", "a.csv", "a.csv"], "*") == [
        "arn:aws:s3:::assets/a.csv*",
        "arn:aws:s3:::assets/b.csv*",
    ]
    assert derived.bucket_arns(["a", "s3://x/y"]) == ["arn:aws:s3:::assets", "arn:aws:s3:::x"]


def test_images(derived: Derived) -> None:
    image = derived.image_uri("xgboost", "1.7-1")
    assert image.endswith("sagemaker-xgboost:1.7-1")
    assert derived.image_repository_arn(image) == "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-xgboost"
    assert derived.image_uri("xgboost", "none-such", otherwise="-") == "-"
    with pytest.raises(ImageUnknown):
        derived.image_uri("xgboost", "none-such")
    own = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/team/images@sha256:" + "0" * 64
    assert derived.image_repository_arn(own) == "arn:aws:ecr:eu-west-1:111111111111:repository/team/images"
    with pytest.raises(BlueprintBroken):
        derived.image_repository_arn("docker.io/library/python:3")


def test_machines(derived: Derived) -> None:
    image = derived.image_uri("djl-lmi", "0.38.0", scope="inference", instance_type="ml.g6e.xlarge")
    assert derived.cuda(image) == 130
    assert derived.inference_ami(image, "ml.g6e.xlarge") == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert derived.inference_ami(image, "ml.m5.xlarge") is None
    assert derived.inference_ami(None, "ml.g6e.xlarge") is None
    assert derived.is_gpu("ml.g6.xlarge")
    assert not derived.is_gpu("ml.m5.large")
    local = ["ml.g5.xlarge", "ml.m5d.large", "ml.c6id.xlarge", "ml.p5en.48xlarge", "ml.g6e.xlarge", "ml.r5d.large"]
    assert [each for each in local if not derived.has_local_disk(each)] == []
    remote = ["ml.m5.large", "ml.c6i.xlarge", "ml.r6g.large", "ml.t3.medium", "ml.p3.2xlarge", "ml.inf2.xlarge", ""]
    assert [each for each in remote if derived.has_local_disk(each)] == []


def test_values_as_text(derived: Derived) -> None:
    assert [derived.text(each) for each in (True, 1, 0.5, "x", [1, "a"])] == ["true", "1", "0.5", "x", '[1,"a"]']
    assert derived.texts({"a": False, "b": 1}) == {"a": "false", "b": "1"}
    assert derived.json({"b": None, "a": 1}) == '{"a":1}'
    assert derived.json(None) is None


def test_missing_keys_may_be_passed_and_unknown_names_may_not(derived: Derived) -> None:
    names = {"derived": derived, "config": {}}
    assert evaluate("derived.s3_uri(config.model)", names) is None
    assert evaluate("derived.name('a', config.b)", names) == "a"
    with pytest.raises(BlueprintBroken):
        evaluate("derived.no_such_thing()", names)


def test_a_document_sees_the_same_names(derived: Derived, tmp_path: Path) -> None:
    (tmp_path / "job.yaml.j2").write_text(
        "A: {{ config.a }}\n{% if config.b %}\nB: 1\n{% endif %}\nStack: {{ derived.stack_name() }}\n"
    )
    assert derived.document("job.yaml.j2") == {"A": 1, "Stack": "mlops-pipeline-churn-workload-endpoint-dev"}
    assert derived.state_machine_name() == "mlops-pipeline-churn-workload-endpoint-dev"
