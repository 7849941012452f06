"""``model.tar.gz`` and its like: packed so that equal content gives equal bytes, unpacked so that nothing escapes."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path


class BadArchive(Exception):
    """The file is not a gzip-compressed tar archive, or it wants to write outside its folder."""


def pack(folder: Path, archive: Path) -> None:
    """Pack what is in the folder, in order of name, without times and owners."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(folder)), recursive=False, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None  # sockets and pipes a job left behind
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into the folder; raises BadArchive."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:*") as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:
                _extract_plain(tar, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadArchive(f"{archive.name} cannot be unpacked: {error}") from error


def _extract_plain(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack files and folders only: Python before 3.11.4 has no filter that makes links safe."""
    for member in tar:
        name = Path(member.name)
        if name.is_absolute() or ".." in name.parts:
            raise tarfile.TarError(f"{member.name!r} lies outside the archive's folder")
        if not (member.isreg() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is a link or a device, which needs Python 3.11.4 or newer")
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        tar.extract(member, folder, set_attrs=False)
