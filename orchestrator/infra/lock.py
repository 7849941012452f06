"""The locked libraries of the function's zip: versions, and the hashes of the wheels for every target.

    python -m orchestrator.infra.lock        # writes orchestrator/infra/lambda_package.lock from what is installed here

pip accepts no other file than these when it fetches wheels for a target. Run it after a library was updated.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

FILE = Path(__file__).with_name("lambda_package.lock")
DISTRIBUTIONS = (
    "attrs", "cloudformation-validate", "jinja2", "jsonschema", "jsonschema-specifications", "markupsafe", "pyyaml",
    "referencing", "rpds-py", "typing-extensions",
)  # fmt: skip
"""What the function imports beside boto3, and what that imports; a test keeps the list closed."""
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's architectures, and what wheels call them."""
PYTHONS = ("3.13", "3.14")
GLIBC = ("2014", "_2_28", "_2_34")
"""Wheels that run on Amazon Linux 2023, whose C library is 2.34."""
LINE = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)$")


def target(architecture: str, python: str) -> list[str]:
    """pip's arguments for wheels of a target. Raises KeyError for an architecture that Lambda has not."""
    platforms = [f"--platform=manylinux{glibc}_{MACHINES[architecture]}" for glibc in GLIBC]
    return ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms]


def locked(text: str | None = None) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Name -> version and SHA-256 sums, from the text of a lock file, or from ours."""
    found = {}
    for line in (FILE.read_text() if text is None else text).splitlines():
        match = LINE.match(line)
        if match:
            found[match["name"]] = (match["version"], tuple(re.findall(r"sha256:([0-9a-f]{64})", match["hashes"])))
    return found


def written() -> str:
    """The lock for the versions that are installed here. Raises CalledProcessError when a wheel is not to be had."""
    hashes: dict[str, set[str]] = {name: set() for name in DISTRIBUTIONS}
    pins = [f"{name}=={distribution(name).version}" for name in DISTRIBUTIONS]
    with tempfile.TemporaryDirectory() as folder:
        for architecture, python in itertools.product(MACHINES, PYTHONS):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*command, *target(architecture, python), f"--dest={folder}", *pins], check=True)
        for path in sorted(Path(folder).glob("*.whl")):
            name = path.name.partition("-")[0].lower().replace("_", "-")
            hashes[name].add(hashlib.sha256(path.read_bytes()).hexdigest())
    lines = ["# Made by `python -m orchestrator.infra.lock`; the wheels that the function's zip is built from."]
    for name in DISTRIBUTIONS:
        sums = " ".join(f"--hash=sha256:{one}" for one in sorted(hashes[name]))
        lines.append(f"{name}=={distribution(name).version} {sums}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(written())
    print(f"{FILE}: {len(locked())} libraries")
