"""Built-in image URIs: equal to the SageMaker SDK's and to the predecessor's, and helpful when there is none."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from orchestrator import images
from orchestrator.images import ImageUnknown, image_uri
from orchestrator.infra import image_table

HERE = Path(__file__).parent
# Words that stand for the newest patch release; it has moved on since.
MOVED = {("huggingface-llm", "2.0"), ("huggingface-llm-neuronx", "0.0")}


def test_a_sample_of_the_sdks_answers() -> None:
    for row in json.loads((HERE / "image_uris_sdk.json").read_text()):
        scope = "inference" if row["scope"] == "inference_graviton" else row["scope"]
        uri = image_uri(
            row["framework"],
            row["version"],
            row["region"],
            scope=scope,
            instance_type=row["instance_type"],
            py_version=row["python"] or None,
        )
        assert uri == row["uri"], row


def test_all_answers_the_predecessor_gave() -> None:
    golden = json.loads((HERE / "image_uris_v2.json").read_text())
    compared = 0
    for framework, answers in golden["frameworks"].items():
        for accounts in answers["accounts"]:
            for version in set(accounts["versions"]) - {v for f, v in MOVED if f == framework}:
                for region, account in accounts["by_region"].items():
                    domain = golden["suffixes"].get(region, "amazonaws.com")
                    expected = f"{account}.dkr.ecr.{region}.{domain}/{answers['image'][version]}"
                    assert image_uri(framework, version or None, region) == expected
                    compared += 1
    assert compared > 3000


@pytest.mark.parametrize("version", [None, "", "anything", 3, True])
def test_an_algorithm_of_one_version_takes_any(version: Any) -> None:
    assert image_uri("kmeans", version, "us-east-1").endswith("/kmeans:1")


@pytest.mark.parametrize(
    "framework, version, region, more, uri",
    [
        ("xgboost", "1.7-1", "us-east-1", {}, "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"),
        ("xgboost", 1, "us-east-1", {}, "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1"),
        ("pytorch", "2.6.0", "eu-west-1", {"scope": "inference", "instance_type": "ml.g6.xlarge"},
         "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference:2.6.0-gpu-py312"),
        ("pytorch", "2.6.0", "cn-north-1", {"scope": "inference", "instance_type": "ml.m5.large"},
         "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-inference:2.6.0-cpu-py312"),
        ("pytorch", "2.6", "us-east-1", {"scope": "inference", "instance_type": "ml.c7g.large"},
         "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference-arm64:2.6-cpu-py312-ubuntu22.04-sagemaker"),
        ("huggingface", "4.49.0", "us-east-1", {"scope": "inference", "instance_type": "ml.g5.xlarge"},
         "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:"
         "2.6.0-transformers4.49.0-gpu-py312-cu124-ubuntu22.04"),
        ("triton", "26.05", "us-east-1", {"instance_type": "ml.m5.large"},
         "763104351884.dkr.ecr.us-east-1.amazonaws.com/sagemaker-tritonserver:26.05-py3-cpu"),
        ("spark", "3.5", "us-east-1", {},
         "173754725891.dkr.ecr.us-east-1.amazonaws.com/sagemaker-spark-processing:3.5-cpu"),
        ("tensorflow", "1.15", "us-east-1",
         {"scope": "training", "instance_type": "ml.p4d.24xlarge", "py_version": "py37"},
         "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:1.15-gpu-py37-cu110-ubuntu18.04-v8"),
    ],
)  # fmt: skip
def test_resolves(framework: str, version: Any, region: str, more: dict[str, str], uri: str) -> None:
    assert image_uri(framework, version, region, **more) == uri


def test_the_newest_python_is_the_default() -> None:
    uri = image_uri("pytorch", "1.2", "us-east-1", scope="inference", instance_type="ml.m5.large")
    assert uri.endswith(":1.2-cpu-py3")


@pytest.mark.parametrize(
    "framework, version, region, more, argument, allowed, hint",
    [
        ("xgbost", "1.7-1", "us-east-1", {}, "framework", "xgboost", "Did you mean `xgboost`?"),
        ("xgboost", "1.7", "us-east-1", {}, "version", "1.7-1", "Did you mean `1.7-1`?"),
        ("xgboost", None, "us-east-1", {}, "version", "3.2-0", ""),
        ("xgboost", "1.7-1", "us-eats-1", {}, "region", "us-east-1", "Did you mean `us-east-1`?"),
        ("pytorch", "2.6", "us-east-1", {}, "scope", "inference", ""),
        ("vllm", "0.30.0", "us-east-1", {"scope": "training"}, "scope", "inference", ""),
        ("pytorch", "2.6", "us-east-1", {"scope": "inference"}, "instance_type", "an instance type with gpu", ""),
        ("pytorch", "2.6", "us-east-1", {"scope": "inference", "instance_type": "ml.m5.large", "py_version": "py39"},
         "py_version", "py312", ""),
        ("vllm", "0.30.0", "us-east-1", {"instance_type": "ml.m5.large"},
         "instance_type", "an instance type with gpu", ""),
    ],
)  # fmt: skip
def test_says_which_argument_is_wrong_and_what_it_may_be(
    framework: str, version: Any, region: str, more: dict[str, str], argument: str, allowed: str, hint: str
) -> None:
    with pytest.raises(ImageUnknown) as caught:
        image_uri(framework, version, region, **more)
    assert caught.value.argument == argument
    assert allowed in caught.value.allowed
    assert caught.value.hint == hint
    assert caught.value.status == 400


def test_versions_are_listed_newest_first() -> None:
    with pytest.raises(ImageUnknown) as caught:
        image_uri("sklearn", "9", "us-east-1")
    assert caught.value.allowed[0] == "1.9-0"
    assert sorted(["1.10", "1.9", "latest", "1.9.1"], key=images.natural) == ["latest", "1.9", "1.9.1", "1.10"]


@pytest.mark.parametrize(
    "framework, version, legacy",
    [
        ("xgboost", "latest", True),
        ("xgboost", None, True),
        ("xgboost", 1, True),
        ("xgboost", "1.7-1", False),
        ("pca", 1, False),
    ],
)
def test_the_xgboost_image_of_2018_is_recognised(framework: str, version: Any, legacy: bool) -> None:
    assert images.is_legacy(framework, version) is legacy


def test_the_table_is_made_by_the_generator(tmp_path: Path) -> None:
    """The generator on a wheel of one framework, whose answers can be read off its data."""
    config = {
        "training": {"versions": {"9": {"registries": {"us-east-1": "1"}, "repository": "toy-training"}}},
        "inference": {
            "processors": ["cpu", "gpu"],
            "version_aliases": {"2": "2.1"},
            "versions": {
                "2.1": {
                    "registries": {"us-east-1": "2"},
                    "repository": "toy",
                    "py_versions": ["py39", "py310"],
                    "container_version": {"cpu": "ubuntu", "gpu": "cu124"},
                }
            },
        },
        "eia": {"versions": {"1": {"registries": {}, "repository": "gone"}}},
    }
    wheel = tmp_path / "sagemaker_core-9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{image_table.FOLDER}toy.json", json.dumps(config))
        archive.writestr(f"{image_table.FOLDER}instance_gpu_info.json", "{}")
    table = image_table.build(wheel)
    assert table["source"] == "sagemaker_core-9.9"
    assert [group["scopes"] for group in table["frameworks"]["toy"]] == [["training"], ["inference"]]
    versions = table["frameworks"]["toy"][1]["versions"]
    assert versions["2"]["py310"]["tags"] == {"cpu": "2-cpu-py310-ubuntu", "gpu": "2-gpu-py310-cu124"}
    assert versions["2.1"]["py39"]["tags"]["gpu"] == "2.1-gpu-py39-cu124"
    assert json.loads(image_table.text(table)) == table


def test_the_committed_table_has_the_generators_form() -> None:
    committed = image_table.TARGET.read_text()
    assert image_table.text(json.loads(committed)) == committed
