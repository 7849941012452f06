"""Puts data into the assets bucket, where keys of a config are looked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import BadRequest, NotFound


def keys(source: Path, to: str = "") -> Mapping[str, Path]:
    """Key -> file of everything below a folder, or of one file; ``to`` begins the keys (or is a file's own).

    A ``to`` that ends in ``/`` is a folder for a file too. Raises NotFound when there is no such file or folder or
    nothing in it, BadRequest for a key that is no key of data.
    """
    if not source.exists():
        raise NotFound(f"There is no file or folder {source}.")
    if source.is_file():
        found = {to if to and not to.endswith("/") else f"{to}{source.name}": source}
    else:
        files = sorted(path for path in source.rglob("*") if path.is_file())
        begin = f"{to.rstrip('/')}/" if to else ""
        found = {f"{begin}{path.relative_to(source).as_posix()}": path for path in files}
    if not found:
        raise NotFound(f"There is no file in {source}.")
    for key in found:
        _check(key)
    return found


def _check(key: str) -> None:
    from orchestrator.plan import BUNDLES
    from orchestrator.sources import PREFIX

    parts = key.split("/")
    if parts[0] in (BUNDLES, PREFIX.rstrip("/")):
        raise BadRequest(
            f"{parts[0]}/ belongs to the orchestrator: bundles there start runs, and code is found there by its hash.",
            hint="Choose another key, `--to data/...`.",
        )
    if "" in parts or "." in parts or ".." in parts:
        raise BadRequest(f"{key} is no key of data.", hint="Write it as folder/file, without a / at its beginning.")


def upload(s3: Any, bucket: str, files: Mapping[str, Path]) -> Iterator[str]:
    """Put each file under its key, with a client of boto3; the keys, as they are done. Can be repeated."""
    for key, path in files.items():
        s3.upload_file(str(path), bucket, key)
        yield key
