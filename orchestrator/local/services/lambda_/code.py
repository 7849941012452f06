"""Functions' code: zip archives unpacked once for each content, and the packages that the runtime brings."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import shutil
import stat
import tempfile
import threading
import zipfile
from pathlib import Path

from orchestrator.local.service import ServiceError

LARGEST_UNPACKED_BYTES = 262_144_000
LARGEST_UPLOAD_BYTES = 70_167_211
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""What AWS's Python runtime has besides the standard library: boto3 with its dependencies."""


class Code:
    """The unpacked code of all functions, under one folder."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "code"
        self._packages = home / "packages"
        self._linking = threading.Lock()
        self._linked = False

    def folder(self, sha256: str) -> Path:
        """Where the code with this CodeSha256 (base64) lies."""
        return self._folder / base64.b64decode(sha256).hex()

    def add(self, archive: bytes) -> str:
        """Unpack an archive and answer its CodeSha256; raises InvalidParameterValueException."""
        digest = hashlib.sha256(archive).digest()
        sha256 = base64.b64encode(digest).decode()
        target = self.folder(sha256)
        if not target.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=self._folder, prefix=".partial-"))
            try:
                _unpack(archive, partial)
                partial.rename(target)
            except OSError:
                if not target.exists():  # another thread may have been faster
                    raise
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return sha256

    def packages(self) -> Path:
        """A folder with the runtime's packages and nothing else of the interpreter the server runs in.

        A function that needs another package must bring it, here as on AWS.
        """
        with self._linking:
            if not self._linked:
                self._packages.mkdir(parents=True, exist_ok=True)
                for name in RUNTIME_PACKAGES:
                    source = _source(name)
                    link = self._packages / source.name
                    link.unlink(missing_ok=True)  # it may point to an interpreter that is gone
                    link.symlink_to(source)
                self._linked = True
        return self._packages


def _source(package: str) -> Path:
    specification = importlib.util.find_spec(package)
    assert specification is not None, f"{package} is a dependency of boto3"
    assert specification.origin is not None
    origin = Path(specification.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _unpack(archive: bytes, target: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            members = opened.infolist()
            if sum(member.file_size for member in members) >= LARGEST_UNPACKED_BYTES:
                text = f"Unzipped size must be smaller than {LARGEST_UNPACKED_BYTES} bytes"
                raise ServiceError("InvalidParameterValueException", text)
            for member in members:
                path = Path(opened.extract(member, target))  # keeps names such as ../x inside the target
                mode = member.external_attr >> 16
                if path.is_file() and mode & stat.S_IXUSR:
                    path.chmod(0o755)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as problem:
        text = f"Could not unzip uploaded file. Please check your file, then try to upload again. ({problem})"
        raise ServiceError("InvalidParameterValueException", text) from None
