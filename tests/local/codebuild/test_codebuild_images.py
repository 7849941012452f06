"""Images: what is checked without a container engine, what is refused and rehearsed, and what an engine is asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from codebuild_rig import REPOSITORY, Rig, archive, phases, reason, spec

from orchestrator.runtime.building import docker, stand_ins
from orchestrator.runtime.building.dockerfile import BadDockerfile, read
from orchestrator.runtime.building.job import Job
from orchestrator.runtime.building.supervisor import supervise

DOCKERFILE = 'ARG BASE=python:3.12-slim\nFROM $BASE\nCOPY serve.py /opt/\nENTRYPOINT ["python", "/opt/serve.py"]\n'
SOURCE = {"Dockerfile": DOCKERFILE, "serve__py": "print(1)"}
TAG = f"{REPOSITORY}:one"


def image_spec(tag: str = TAG, build: str = "docker build .") -> str:
    sign_in = 'aws ecr get-login-password --region "$AWS_REGION" | docker login --username AWS --password-stdin "$HOST"'
    return spec(
        {"variables": {"HOST": REPOSITORY.partition("/")[0]}},
        pre_build=[sign_in],
        build=[f"{build} --tag {tag}"],
        post_build=['if [ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]; then ' + f"docker push {tag}; fi"],
    )


def test_without_an_engine_everything_up_to_the_build_is_real_and_the_build_is_refused(rig: Rig) -> None:
    rig.settings(engine="none")
    build = rig.run(rig.sourced(image_spec(), archive(**SOURCE)))
    assert build["buildStatus"] == "FAILED"
    assert phases(build)["PRE_BUILD"] == "SUCCEEDED"
    assert "no container engine on this machine" in reason(build)
    assert "the Dockerfile was read and fits its context (4 instructions)" in reason(build)
    assert "Login Succeeded" in rig.log(build)
    assert rig.image("one") is None


def test_a_rehearsal_leaves_an_image_that_says_so_and_the_same_source_the_same_one(rig: Rig) -> None:
    rig.settings(engine="none", rehearse=[f"{REPOSITORY}:*"])
    build = rig.run(rig.sourced(image_spec(), archive(**SOURCE)))
    assert build["buildStatus"] == "SUCCEEDED", rig.log(build)
    image = rig.image("one")
    assert image is not None
    assert "not built" in json.loads(image["imageManifest"])["annotations"]["mlops.rehearsal"]
    assert any(line.startswith("REHEARSAL: nothing was built") for line in rig.log(build))
    again = rig.run(rig.sourced(image_spec(), archive(**SOURCE)))
    assert again["buildStatus"] == "SUCCEEDED", rig.log(again)
    changed = rig.run(rig.sourced(image_spec(), archive(**{**SOURCE, "serve__py": "print(2)"})))
    assert changed["buildStatus"] == "FAILED", "tags of the repository are immutable"
    assert "immutable" in reason(changed)
    other = rig.run(rig.sourced(image_spec(f"{REPOSITORY}:two"), archive(**{**SOURCE, "serve__py": "print(2)"})))
    assert other["buildStatus"] == "SUCCEEDED", rig.log(other)
    second = rig.image("two")
    assert second is not None
    assert second["imageId"]["imageDigest"] != image["imageId"]["imageDigest"]


@pytest.mark.parametrize(("files", "options", "words"), [
    ({"serve__py": "x"}, "docker build .", ["Dockerfile cannot be read"]),
    ({"Dockerfile": DOCKERFILE}, "docker build .", ["line 3: COPY serve.py: not found in the build context"]),
    ({"Dockerfile": "FROM a\nRUNN x"}, "docker build .", ["line 2: unknown instruction: RUNN"]),
    (SOURCE, "docker build . --target other", ["target stage 'other' could not be found"]),
    (SOURCE, "docker build . --network host", ["--network host is not supported"]),
    (SOURCE, "docker buildx build .", ["docker buildx: no container engine"]),
])  # fmt: skip
def test_a_wrong_dockerfile_fails_the_build_with_its_reason(
    rig: Rig, files: dict[str, str], options: str, words: list[str]
) -> None:
    rig.settings(engine="none", rehearse=["*"])
    build = rig.run(rig.sourced(image_spec(build=options), archive(**files)))
    assert build["buildStatus"] == "FAILED"
    for word in words:
        assert word in reason(build)


def test_wrong_settings_are_told(rig: Rig) -> None:
    rig.settings(engine="maybe")
    assert "builds.json must be" in reason(rig.run(rig.project(spec(build=["true"]))))


ENGINE = """#!{python}
import json, pathlib, sys
pathlib.Path({log!r}).open("a").write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["image", "inspect"]:
    print(json.dumps({{"Id": "sha256:" + "a" * 64, "RootFS": {{"Layers": ["sha256:" + "b" * 64]}}}}))
"""


def test_an_engine_that_answers_is_used(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, log, folder = tmp_path / "bin", tmp_path / "log", tmp_path / "build"
    for path in (programs, folder / "src"):
        path.mkdir(parents=True)
    (programs / "docker").write_text(ENGINE.format(python=sys.executable, log=str(log)))
    (programs / "docker").chmod(0o755)
    for name, text in SOURCE.items():
        (folder / "src" / name.replace("__", ".")).write_text(text)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for name, value in rig.embedded.world.child_environment(rig.role, "us-east-1", "test").items():
        monkeypatch.setenv(name, value)
    Job(image_spec(f"{REPOSITORY}:engine")).write(folder)
    supervise(folder)
    assert '"status": "SUCCEEDED"' in (folder / "exit.json").read_text(), (folder / "build.log").read_text()
    asked = [json.loads(line)[0] for line in log.read_text().splitlines()]
    assert asked == ["info", "build", "image"], "signing in to a registry of the embedded AWS is not its business"
    image = rig.image("engine")
    assert image is not None
    assert json.loads(image["imageManifest"])["config"]["digest"] == "sha256:" + "a" * 64


def test_an_engine_that_does_not_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert stand_ins.find_engine() == ("", "neither docker nor podman is installed")
    (tmp_path / "podman").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "podman").chmod(0o755)
    assert stand_ins.find_engine() == ("", "podman is installed, but no engine answers it")


def test_signing_in_elsewhere_and_without_a_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(stand_ins.FOLDER, str(tmp_path))
    assert docker.main(["login", "registry.example.com"]) == 1
    monkeypatch.setattr(sys, "stdin", (tmp_path / "refusal.txt").open())
    (tmp_path / "refusal.txt").write_text("")
    assert docker.main(["login", "--password-stdin", REPOSITORY.partition("/")[0]]) == 1


# ---- Dockerfiles ----


@pytest.mark.parametrize(("text", "bases", "stages"), [
    ("FROM python:3.12", ["python:3.12"], ["0"]),
    ("# syntax=d/d:1\nFROM --platform=linux/arm64 a AS one\nFROM one\nCOPY --from=one /x /y", ["a"], ["one", "1"]),
    ("ARG V=3\nFROM python:${V:-2}\n", ["python:3"], ["0"]),
    ("FROM a\nRUN one \\\n  # a word\n  two\nRUN <<END\nCOPY nothing\nEND\nCOPY <<F /f\nx\nF\n", ["a"], ["0"]),
    ("# escape=`\nFROM a\nRUN c:\\\nRUN x `\n y", ["a"], ["0"]),
    ("FROM a\nCOPY [\"a file.txt\", \"/\"]\nCOPY *.txt deep /d/\nADD https://e.com/x /x\nADD . /all", ["a"], ["0"]),
    ("FROM a\nARG W=deep\nCOPY --chown=1:1 $W/inner.txt ${UNKNOWN} /", ["a"], ["0"]),
])  # fmt: skip
def test_dockerfiles_that_could_be_built(tmp_path: Path, text: str, bases: list[str], stages: list[str]) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/inner.txt").touch()
    (tmp_path / "a file.txt").touch()
    found = read(text, tmp_path, {})
    assert (list(found.bases), list(found.stages)) == (bases, stages)


@pytest.mark.parametrize(("text", "problem"), [
    ("", "there is no FROM"),
    ("RUN x\nFROM a", "line 1: no build stage in current context: RUN stands before FROM"),
    ("FROM a\nCOPY ../secret /", "line 2: COPY ../secret: not found in the build context"),
    ("FROM a\nCOPY one", "line 2: COPY requires at least two arguments"),
    ("FROM a\nUSER", "line 2: USER requires at least one argument"),
    ("FROM a\nRUN x \\\n\nCOPY gone /", "line 4: COPY gone: not found"),
])  # fmt: skip
def test_dockerfiles_that_could_not(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path.parent / "secret").touch()
    with pytest.raises(BadDockerfile) as error:
        read(text, tmp_path, {})
    assert problem in str(error.value)


def test_arguments_of_the_build_win(tmp_path: Path) -> None:
    assert read("ARG V=1\nFROM a:$V", tmp_path, {"V": "2"}).bases == ("a:2",)


def test_any_text_is_a_dockerfile_or_refused(tmp_path: Path) -> None:
    from hypothesis import given, settings
    from hypothesis import strategies as st

    words = st.sampled_from(
        ["FROM a", "COPY . /", "RUN <<X", "X", "\\", "# escape=`", "`", "ARG A=$A", "ENV a", "$", "--"]
    )

    @settings(max_examples=100, deadline=None)
    @given(st.one_of(st.text(max_size=80), st.lists(words, max_size=8).map("\n".join)))
    def check(text: str) -> None:
        try:
            found: Any = read(text, tmp_path, {})
        except BadDockerfile:
            return
        assert found.stages

    check()
