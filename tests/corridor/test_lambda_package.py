"""The function's zip: everything it needs, nothing else, the same bytes every time, and it starts."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest

from orchestrator.infra import sbom
from orchestrator.infra.lambda_package import LARGEST_ZIP_BYTES, build, main
from orchestrator.infra.lock import DISTRIBUTIONS, locked

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
    assert json.loads((tmp_path / "dist" / "orchestrator.cdx.json").read_text())["bomFormat"] == "CycloneDX"
    assert "bytes" in capsys.readouterr().out


# ---- for a Lambda, whatever machine builds ----


def test_the_lock_holds_every_library_with_its_hashes() -> None:
    lock = locked()
    assert set(lock) == set(DISTRIBUTIONS)
    for name, (version, sums) in lock.items():
        assert re.fullmatch(r"\d[\d.]*", version), name
        assert sums and len(set(sums)) == len(sums)


@pytest.fixture(scope="module")
def for_arm() -> bytes:
    try:
        return build("arm64", "3.13")
    except subprocess.CalledProcessError as error:  # no package index: nothing can be fetched
        pytest.skip(f"pip cannot fetch wheels here: {error}")


def test_the_package_for_lambda_is_small_and_the_same_twice(for_arm: bytes) -> None:
    assert len(for_arm) <= LARGEST_ZIP_BYTES
    assert build("arm64", "3.13") == for_arm


def test_the_package_for_lambda_holds_binaries_of_its_machine_alone(for_arm: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(for_arm)) as archive:
        binaries = {name: archive.read(name)[18] for name in archive.namelist() if ".so" in name}
    assert len(binaries) >= 3
    assert set(binaries.values()) == {0xB7}, "e_machine of ELF: AArch64"
    assert all("cpython-313-aarch64" in name for name in binaries if "cpython" in name)


def test_a_wheel_with_another_hash_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, for_arm: bytes) -> None:
    from orchestrator.infra import lambda_package, lock

    forged = tmp_path / "forged.lock"
    forged.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", lock.FILE.read_text()))
    monkeypatch.setattr(lambda_package, "FILE", forged)
    with pytest.raises(subprocess.CalledProcessError):
        build("arm64", "3.13")


def test_the_bill_of_materials_names_everything(for_arm: bytes) -> None:
    bill, lock = sbom.document(for_arm), locked()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(for_arm).hexdigest()
    assert {one["name"]: one["version"] for one in bill["components"]} == {name: lock[name][0] for name in lock}
    for one in bill["components"]:
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        assert one["licenses"][0]["license"]["name"] != "not stated"
        sums = {each["content"] for each in one["externalReferences"][0]["hashes"]}
        assert sums == set(lock[one["name"]][1])
    assert sbom.text(for_arm) == sbom.text(for_arm)
