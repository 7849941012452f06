"""The monitoring image: its source is reproducible, its requirements are closed, and what it copies really runs."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import orchestrator
from orchestrator.blueprint import load_catalog
from orchestrator.flow import prepare
from orchestrator.infra import monitoring_image
from orchestrator.runtime.building.dockerfile import Dockerfile, read
from tests.corridor.cloud import settings
from tests.corridor.launch import ROOT

FOLDER = ROOT / "pipelines" / "monitoring-image"
PINS = [Requirement(line) for line in (FOLDER / "requirements.txt").read_text().split()]
NEEDED = ("boto3", "numpy", "polars")


def test_built_twice_it_is_the_same_and_holds_the_runtime_only(tmp_path: Path) -> None:
    data = monitoring_image.build()
    assert data == monitoring_image.build()
    target = tmp_path / "dist/image.zip"
    subprocess.run([sys.executable, "-m", "orchestrator.infra.monitoring_image", str(target)], check=True)
    assert target.read_bytes() == data
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    ours = {name for name in names if name.startswith("orchestrator/")}
    assert set(names) - ours == {"Dockerfile", "requirements.txt"}
    assert all(name.startswith("orchestrator/runtime/") for name in ours - {"orchestrator/__init__.py"})
    assert all(name.endswith(".py") for name in ours)


def test_every_library_and_all_that_it_needs_is_pinned() -> None:
    pinned = {pin.name: str(pin.specifier) for pin in PINS}
    assert all(version.startswith("==") for version in pinned.values())
    waiting, found = list(NEEDED), set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            wanted = (Requirement(text) for text in requires(name) or ())
            waiting += [each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]
    assert found == set(pinned)
    bounds = [Requirement(text) for text in requires("mlops-orchestrator") or ()]
    for bound in bounds:
        if bound.name in NEEDED:
            assert bound.specifier.contains(pinned[bound.name].removeprefix("==")), bound


def test_the_config_builds_the_image_that_monitors_look_for() -> None:
    body = json.loads((FOLDER / "mlops-config.json").read_text())
    ready = prepare(body, settings(), load_catalog())
    (stack,) = ready.plan.pipelines[0].stacks
    assert stack.job_input is not None
    wanted = f"111111111111.dkr.ecr.us-east-1.amazonaws.com/mlops-monitoring:{orchestrator.__version__}"
    assert stack.job_input["TaggedImageUri"] == wanted


@pytest.fixture
def image(tmp_path: Path) -> tuple[Dockerfile, Path]:
    """The Dockerfile, and a folder with what it copies, and with the pinned libraries where pip would put them."""
    context, root = tmp_path / "context", tmp_path / "root"
    zipfile.ZipFile(io.BytesIO(monitoring_image.build())).extractall(context)
    dockerfile = read((context / "Dockerfile").read_text(), context, {})
    for each in dockerfile.instructions:
        if each.name == "COPY":
            source, target = each.words.split()
            copy = shutil.copytree if (context / source).is_dir() else shutil.copy
            (root / target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            copy(context / source, root / target.lstrip("/"))
    packages = root / "site-packages"
    packages.mkdir()
    for pin in PINS:
        for top in {file.parts[0] for file in distribution(pin.name).files or () if file.parts[0] != ".."}:
            origin = Path(str(distribution(pin.name).locate_file(top)))
            if origin.exists() and not top.endswith((".pth", "__pycache__")):
                (packages / top).symlink_to(origin)
    return dockerfile, root


def test_what_it_copies_finds_drift(image: tuple[Dockerfile, Path], tmp_path: Path) -> None:
    dockerfile, root = image
    last = dockerfile.instructions[-1]
    assert last.name == "ENTRYPOINT"
    python, *words = json.loads(last.words)
    assert python == "python"
    environment = {
        "PYTHONPATH": f"{root / 'opt/mlops'}{os.pathsep}{root / 'site-packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.environ["PATH"],
    }
    (tmp_path / "before.csv").write_text("a,b\n" + "".join(f"{n % 17},{n % 5}\n" for n in range(500)))
    (tmp_path / "after.csv").write_text("a,b\n" + "".join(f"{n % 17 + 40},{n % 5}\n" for n in range(500)))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", *words, *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run("job", "--help").returncode == 0
    learnt = run("baseline", "before.csv", "--out", "baseline")
    assert learnt.returncode == 0, learnt.stderr
    found = run("analyze", "after.csv", "--baseline", "baseline", "--out", "found")
    assert "violation" in found.stdout, found.stderr
    violations = json.loads((tmp_path / "found/constraint_violations.json").read_text())["violations"]
    assert {each["feature_name"] for each in violations} == {"a"}
