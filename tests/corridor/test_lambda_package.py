"""The function's zip: everything it needs, nothing else, the same bytes every time, and it starts."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

from orchestrator.infra.lambda_package import DISTRIBUTIONS, LARGEST_ZIP_BYTES, build, main

PROVIDED = {"boto3"}


@pytest.fixture(scope="module")
def package() -> bytes:
    return build()


def test_small_and_the_same_twice(package: bytes) -> None:
    assert len(package) <= LARGEST_ZIP_BYTES
    assert build() == package


def test_files_ship_and_folders_stay_home(package: bytes) -> None:
    names = zipfile.ZipFile(io.BytesIO(package)).namelist()
    assert "orchestrator/handler.py" in names and "orchestrator/image_table.json" in names
    assert "templates/pipeline.yaml.j2" in names and "blueprints/realtime_inference/blueprint.yaml" in names
    own = [name for name in names if name.startswith("orchestrator/")]
    assert not [name for name in own if name.count("/") > 1 and "__pycache__" not in name]
    for part in ("launch/", "/tests/", "expected/", "examples/", "boto3/", "README"):
        assert not [name for name in names if part in name], part


def test_the_list_of_libraries_is_closed() -> None:
    wanted = PROVIDED | set(DISTRIBUTIONS)
    for name in DISTRIBUTIONS:
        for requirement in requires(name) or []:
            if "extra ==" not in requirement:
                other = re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")
                assert other in wanted, f"{name} needs {requirement}"


def test_the_function_starts_from_the_zip_alone(package: bytes, tmp_path: Path) -> None:
    zipfile.ZipFile(io.BytesIO(package)).extractall(tmp_path / "task")
    code = """
import importlib.util, json, sys
sys.path[:] = [sys.argv[1]] + [p for p in sys.path if "site-packages" not in p]
from orchestrator.handler import handler
from orchestrator.blueprint import load_catalog
from orchestrator.expressions import evaluate
import jsonschema, yaml
import jinja2.sandbox
where = {m.__name__: m.__file__.startswith(sys.argv[1]) for m in (jsonschema, yaml, jinja2)}
from rpds import HashTrieMap
print(json.dumps({"types": len(load_catalog().types), "where": where}))
"""
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "task")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["types"] > 0 and set(told["where"].values()) == {True}


def test_the_command_writes_the_file(tmp_path: Path, package: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "dist" / "orchestrator.zip")]) == 0
    assert (tmp_path / "dist" / "orchestrator.zip").read_bytes() == package
    assert "bytes" in capsys.readouterr().out
