"""Code beside a config: folders become reproducible archives in the assets bucket, named by their content.

A ``source_dir`` (training code) or a ``source`` (what an image is built from) that is a folder beside the config, in
the commit or on the disk of whoever runs ``mlops provision``, is packed, uploaded as ``sources/<sha256>.tar.gz`` or
``.zip`` and replaced by that key; any other value is left to validation. The same files give the same key, so an
unchanged folder changes nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.archive import zipped
from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, BadRequest

TAR, ZIP = ".tar.gz", ".zip"
SOURCE_KEYS: Mapping[str, str] = {"source_dir": TAR, "source": ZIP}
"""The keys that may name a folder, and how the archive made of it ends."""
PREFIX = "sources/"
LARGEST_SOURCE_BYTES = 50_000_000
EXISTS_ALREADY = frozenset({"PreconditionFailed", "412"})


@dataclass(frozen=True, slots=True)
class File:
    """A file of a folder; ``executable`` is all that is kept of its mode."""

    data: bytes
    executable: bool = False

    @property
    def mode(self) -> int:
        """The mode it has in an archive."""
        return 0o755 if self.executable else 0o644


Folder = Callable[[str], Mapping[str, File] | None]
"""The files below a relative path (path -> file), or None when it is no folder."""


def pack(files: Mapping[str, File], ending: str = TAR) -> tuple[str, bytes]:
    """Key and bytes of the archive, a tar or a zip: no owners, no times, names in order.

    Raises BadRequest when the folder is empty or larger than 50 MB.
    """
    size = sum(len(file.data) for file in files.values())
    if not files or size > LARGEST_SOURCE_BYTES:
        raise BadRequest(
            f"A source folder must hold between 1 and {LARGEST_SOURCE_BYTES:,} bytes; this one holds {size:,}.",
            hint="Keep data in the assets bucket, and only code beside the config.",
        )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name].data)
            member.mode = files[name].mode
            archive.addfile(member, io.BytesIO(files[name].data))
    tar = buffer.getvalue()
    # Named by the tar, not by what is compressed, whose bytes depend on the zlib at hand.
    key = f"{PREFIX}{hashlib.sha256(tar).hexdigest()}{ending}"
    if ending == TAR:
        return key, gzip.compress(tar, mtime=0)
    modes = {name: file.mode for name, file in files.items()}
    return key, zipped({name: file.data for name, file in files.items()}, modes)


def with_uploaded_sources(body: Mapping[str, Any], folder: Folder, aws: Aws) -> dict[str, Any]:
    """The config with every folder of code replaced by the key of its archive, which is uploaded when it is new."""
    known: dict[tuple[str, str], str] = {}

    def upload(path: str, ending: str) -> str:
        if (path, ending) not in known:
            files = folder(path)
            known[path, ending] = _upload(aws, files, ending) if files is not None else path
        return known[path, ending]

    return with_sources(body, upload)


def with_sources(body: Mapping[str, Any], replace: Callable[[str, str], str]) -> dict[str, Any]:
    """The config with every value that may name a folder of code replaced, in both forms.

    ``replace`` gets the value and how an archive of it would end.
    """
    changed = _with_sources(body, replace)
    pipelines = body.get("pipelines")
    if isinstance(pipelines, list):
        changed["pipelines"] = [_with_sources(one, replace) if isinstance(one, Mapping) else one for one in pipelines]
    return changed


def _with_sources(config: Mapping[str, Any], replace: Callable[[str, str], str]) -> dict[str, Any]:
    changed = dict(config)
    for key, ending in SOURCE_KEYS.items():
        value = config.get(key)
        if isinstance(value, str) and value and "://" not in value and not value.endswith(ending):
            changed[key] = replace(value, ending)
    return changed


def _upload(aws: Aws, files: Mapping[str, File], ending: str) -> str:
    key, data = pack(files, ending)
    try:
        aws.call(
            "s3",
            "put_object",
            Bucket=aws.settings.assets_bucket,
            Key=key,
            Body=data,
            ContentType="application/gzip" if ending == TAR else "application/zip",
            IfNoneMatch="*",  # the name is the content: what is there is this
        )
    except AwsFailed as error:
        if error.code not in EXISTS_ALREADY:
            raise
    return key
