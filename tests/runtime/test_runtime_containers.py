"""Which program stands for an image."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from orchestrator.runtime.archives import BadArchive, pack, unpack
from orchestrator.runtime.containers import BadRegistration, identify, registrations

ECR = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize("image, kind, version", [
    ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "xgboost", (1, 7)),
    ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "xgboost", (1,)),
    ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3", "sklearn", (1, 2)),
    ("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/sagemaker-xgboost@sha256:0123", "xgboost", ()),
])  # fmt: skip
def test_images_we_know(image: str, kind: str, version: tuple[int, ...]) -> None:
    container = identify(image, "serve", {})
    assert (container.kind, container.version, container.runs) == (kind, version, True)


@pytest.mark.parametrize("image, words", [
    (f"{ECR}/djl-inference:0.38.0-lmi29.0.0-cu130", "it needs a GPU and a container engine"),
    (f"{ECR}/vllm:server-sagemaker-cuda-v2", "it needs a GPU and a container engine"),
    ("111111111111.dkr.ecr.us-east-1.amazonaws.com/own:7", "no local command is registered for it"),
])  # fmt: skip
def test_images_that_cannot_run_say_why(image: str, words: str) -> None:
    container = identify(image, "serve", {})
    assert not container.runs
    assert words in container.reason


def test_pytorch_runs_where_torch_is() -> None:
    container = identify(f"{ECR}/pytorch-inference:2.6.0-gpu-py312", "serve", {})
    assert container.runs == (importlib.util.find_spec("torch") is not None)
    assert container.runs or "pip install torch" in container.reason


@pytest.mark.parametrize("image", [
    "111111111111.dkr.ecr.us-east-1.amazonaws.com/mlops-monitoring:3.0.0",
    "111111111111.dkr.ecr.eu-west-1.amazonaws.com/team/prefix-monitoring@sha256:0123",
])  # fmt: skip
def test_the_monitoring_image_processes_and_does_nothing_else(image: str) -> None:
    container = identify(image, "process", {})
    assert (container.kind, container.argv) == ("monitoring", ("python3", "-m", "orchestrator.runtime.monitoring"))
    assert not identify(image, "serve", {}).runs and not identify(image, "train", {}).runs


def test_images_of_frameworks_process_with_the_program_they_are_told() -> None:
    container = identify("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "process", {})
    assert (container.kind, container.argv) == ("xgboost", ())


def test_a_registered_command_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    assert registrations(path) == {}
    path.write_text('{"*/own:*": {"serve": ["python", "serve.py", "{port}"]}}')
    known = registrations(path)
    assert identify("h.example.com/own:7", "serve", known).argv == ("python", "serve.py", "{port}")
    assert not identify("h.example.com/own:7", "train", known).runs


@pytest.mark.parametrize("text", ["[]", "{", '{"a": {"run": ["x"]}}', '{"a": {"serve": [1]}}'])
def test_a_wrong_registration_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "images.json").write_text(text)
    with pytest.raises(BadRegistration, match=r"images\.json must be"):
        registrations(tmp_path / "images.json")


def test_packing_is_deterministic_and_comes_back(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep/b").write_text("b")
        (tmp_path / name / "a").write_text("a")
        pack(tmp_path / name, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    unpack(tmp_path / "one.tar.gz", tmp_path / "again")
    assert (tmp_path / "again/deep/b").read_text() == "b"


def test_half_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_bytes(bytes(range(256)) * 400)
    pack(tmp_path / "a", tmp_path / "a.tar.gz")
    whole = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadArchive, match="cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "b")
