"""The house keeps its shape: levels import downward only, and the Lambda's path stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "orchestrator"

LEVELS = {
    "errors": 0,
    "model": 0,
    "settings": 0,
    "blueprint": 1,
    "aws": 1,
    "validate": 2,
    "plan": 2,
    "render": 2,
    "admission": 2,
    "package": 2,
    "provision": 2,
    "execute": 2,
    "status": 2,
    "cards": 2,
    "flow": 3,
    "routes": 4,
    "openapi": 4,
    "handler": 4,
}
ROOMS = {name for name, level in LEVELS.items() if level == 2}
HEAVY = {"polars", "sagemaker", "aws_cdk", "moto", "numpy", "xgboost", "sklearn", "torch", "pandas", "rich"}
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}


def imports(path: Path) -> set[str]:
    """Every module a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def siblings(path: Path) -> set[str]:
    """The names directly below ``orchestrator`` that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("orchestrator.")}


SHIPPED = sorted(path for path in PACKAGE.glob("*.py") if path.name != "__init__.py")
FOLDERS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_import_downward_only(path: Path) -> None:
    own = LEVELS.get(path.stem, 1)
    for name in siblings(path) - {path.stem, "__version__"}:
        assert name not in FOLDERS, f"{path.name} ships to the Lambda and must not import the folder {name}"
        assert LEVELS.get(name, 1) <= own, f"{path.name} (level {own}) imports {name} (level {LEVELS.get(name, 1)})"
    if path.stem in ROOMS:
        assert not siblings(path) & (ROOMS - {path.stem}), f"{path.name} imports another room; only flow joins rooms"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_level_zero_needs_the_standard_library_only(path: Path) -> None:
    if LEVELS.get(path.stem) == 0:
        outside = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"orchestrator"}
        assert not outside


def test_boto3_stands_at_one_door() -> None:
    importers = {path.name for path in SHIPPED if {"boto3", "botocore"} & {n.split(".")[0] for n in imports(path)}}
    assert importers == {"aws.py"}


@pytest.mark.parametrize("folder, forbidden", [
    ("local", {*LEVELS, "cli", "infra"} - {"errors"}),
    ("runtime", {*LEVELS, "cli", "infra", "local"}),
    ("infra", {"cli", "local", "runtime"}),
])  # fmt: skip
def test_folders_keep_to_themselves(folder: str, forbidden: set[str]) -> None:
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        assert not siblings(path) & forbidden, f"{path.relative_to(ROOT)} imports {siblings(path) & forbidden}"


def test_importing_the_handler_loads_nothing_heavy() -> None:
    code = "import sys, orchestrator.handler; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & HEAVY


def test_no_drawers() -> None:
    assert not [path for path in PACKAGE.rglob("*.py") if path.stem in DRAWERS]


def test_files_are_rooms_not_halls() -> None:
    halls = {
        str(path.relative_to(ROOT)): n
        for path in PACKAGE.rglob("*.py")
        if (n := len(path.read_text().splitlines())) > 400
    }
    assert not halls, "files over 400 lines hide a second room"
