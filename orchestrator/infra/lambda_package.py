"""The zip of the orchestrator function: the files of the package, the catalog, and five libraries.

    python -m orchestrator.infra.lambda_package dist/orchestrator.zip
    python -m orchestrator.infra.lambda_package dist/orchestrator.zip --architecture arm64 --python 3.13

Without ``--architecture`` the libraries are copied from where they are installed, for this machine and this Python;
with it pip fetches the wheels of ``lambda_package.lock`` for a Lambda of that kind, no Docker needed. The same inputs
give the same bytes. boto3 is the Lambda runtime's own. Beside the zip its bill of materials is written (CycloneDX).
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

import orchestrator
from orchestrator.archive import zipped
from orchestrator.blueprint import default_root
from orchestrator.infra import sbom
from orchestrator.infra.lock import DISTRIBUTIONS, FILE, MACHINES, target

READ_AT_RUN_TIME = frozenset({".yaml", ".json", ".j2"})
NOT_READ = frozenset({"ci", "examples", "expected", "launch"})
LEFT_OUT = frozenset({"__pycache__", "tests", "benchmarks", "bin", "README.md"})
KEPT_OF_METADATA = ("METADATA", "LICENSE", "LICENSE.txt", "COPYING")
LARGEST_ZIP_BYTES = 10_000_000
COMPILE = """
import importlib.util, py_compile, sys
for path in sys.stdin.read().split("\\n"):
    py_compile.compile(
        sys.argv[1] + "/" + path, cfile=sys.argv[1] + "/" + importlib.util.cache_from_source(path), dfile=path,
        doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


def build(architecture: str = "", python: str = "") -> bytes:
    """The zip's bytes, for this machine or for a Lambda of an ``architecture`` (arm64, x86_64) and ``python`` (3.13).

    Raises subprocess.CalledProcessError when pip cannot fetch exactly the locked wheels.
    """
    own = "{}.{}".format(*sys.version_info)
    with tempfile.TemporaryDirectory() as folder:
        libraries = _fetched(Path(folder), architecture, python or own) if architecture else dict(_installed())
    files = dict(_product()) | libraries
    if python in ("", own):
        files |= _bytecode(files)
    return zipped(files, {name: 0o755 for name in files if name.endswith(".so")})


def _product() -> Iterator[tuple[str, bytes]]:
    """Our own part: files ship, folders stay home; of the catalog what is read at run time."""
    package, root = Path(orchestrator.__file__).parent, default_root()
    for path in sorted([*package.glob("*.py"), *package.glob("*.json")]):
        yield f"orchestrator/{path.name}", path.read_bytes()
    for path in sorted([*(root / "blueprints").rglob("*"), *(root / "templates").rglob("*")]):
        relative = path.relative_to(root)
        if path.is_file() and path.suffix in READ_AT_RUN_TIME and not NOT_READ & set(relative.parts):
            yield relative.as_posix(), path.read_bytes()


def _installed() -> Iterator[tuple[str, bytes]]:
    """The libraries as installed beside this process."""
    for name in DISTRIBUTIONS:
        for file in distribution(name).files or ():
            if _wanted(file.parts):
                yield file.as_posix(), Path(str(file.locate())).read_bytes()


def _fetched(folder: Path, architecture: str, python: str) -> dict[str, bytes]:
    """The locked libraries as wheels for a Lambda."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--require-hashes", f"--requirement={FILE}", *target(architecture, python)]
    subprocess.run([*command, f"--target={folder}"], check=True)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path.relative_to(folder): path for path in paths}
    return {name.as_posix(): path.read_bytes() for name, path in names.items() if _wanted(name.parts)}


def _wanted(parts: tuple[str, ...]) -> bool:
    if parts[0] in ("..", "bin") or LEFT_OUT & set(parts):
        return False
    if parts[0].endswith(".dist-info"):
        return parts[-1] in KEPT_OF_METADATA
    return not parts[-1].endswith((".pyc", ".pyi", ".pyx", ".typed"))


def _bytecode(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The modules compiled: Lambda's disk is read-only, so every cold start would compile them again.

    In a process of its own: which constants share a reference depends on what the process has loaded before.
    """
    sources = sorted(name for name in files if name.endswith(".py"))
    with tempfile.TemporaryDirectory() as folder:
        for name in sources:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        subprocess.run(
            [sys.executable, "-I", "-c", COMPILE, folder], input="\n".join(sources), text=True, check=True, env={}
        )
        compiled = sorted(Path(folder).rglob("*.pyc"))
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in compiled}


def main(argv: list[str] | None = None) -> int:
    """Write the zip to the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--architecture", default="", choices=["", *MACHINES], help="of a Lambda (needs PyPI)")
    parser.add_argument("--python", default="", help="its Python version, e.g. 3.13")
    arguments = parser.parse_args(argv)
    data = build(arguments.architecture, arguments.python)
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_bytes(data)
    bill = arguments.file.with_suffix(".cdx.json")
    bill.write_text(sbom.text(data))
    print(f"{arguments.file}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}; {bill}")
    return 0 if len(data) <= LARGEST_ZIP_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
