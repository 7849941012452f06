"""Package: the reproducible zip of a rendering. The same files are the same bytes, on every machine.

Members are stored, not compressed: the bytes of a compressed one depend on the zlib at hand (zlib and zlib-ng
differ), and a bundle is a few kilobytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

from orchestrator.archive import zipped
from orchestrator.errors import BadRequest
from orchestrator.model import Bundle, Rendering

REGULAR_FILE_0644 = 0o100644


def package(rendering: Rendering) -> Bundle:
    """The bundle of the rendering's files."""
    data = zipped(rendering.files, dict.fromkeys(rendering.files, REGULAR_FILE_0644), zipfile.ZIP_STORED)
    return Bundle(hashlib.sha256(data).hexdigest(), data)


def unpack(data: bytes) -> Mapping[str, bytes]:
    """The files of a bundle, by name. Raises BadRequest when the bytes are no zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {member.filename: archive.read(member) for member in archive.infolist() if not member.is_dir()}
    except zipfile.BadZipFile as error:
        raise BadRequest(f"The bundle is not a zip file: {error}") from error
