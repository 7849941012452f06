"""The wheel carries everything: installed in an empty environment it works from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``mlops`` of an environment that has only the wheel (its dependencies are lent by this one)."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    copy = folder / "source"
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    for name in filter(None, tracked):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*build, str(copy)], check=True, capture_output=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (site,) = (folder / "env/lib").glob("python*/site-packages")
    lent = [path for path in sys.path if path.endswith("site-packages")]
    # Dependencies only: this environment's editable install of the product itself must not be found.
    (site / "lent.pth").write_text("\n".join(lent))
    return folder / "env/bin/mlops"


def run(command: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "MLOPS_HOME": str(folder / "home")}
    return subprocess.run(
        [str(command), *arguments], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )


def test_init_validate_render_from_any_folder(installed: Path, tmp_path: Path) -> None:
    for arguments in (["init"], ["validate"], ["render"]):
        done = run(installed, tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "mlops-config.schema.json").read_text())["$schema"].endswith("draft-07/schema#")
    assert (tmp_path / "build/rendered/codepipeline.template.json").exists()


def test_every_data_file_of_the_package_is_in_the_wheel(installed: Path) -> None:
    (site,) = (installed.parent.parent / "lib").glob("python*/site-packages")
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "orchestrator"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in tracked if not (site / name).exists()]


def test_it_is_the_wheel_that_answers(installed: Path, tmp_path: Path) -> None:
    python = installed.with_name("python")
    code = "import orchestrator; print(orchestrator.__file__)"
    done = subprocess.run([str(python), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(installed.parent.parent) in done.stdout
