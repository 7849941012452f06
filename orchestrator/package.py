"""Package: the reproducible zip of a rendering. The same files are the same bytes, on every machine.

Members are stored, not compressed: the bytes of a compressed one depend on the zlib at hand (zlib and zlib-ng
differ), and a bundle is a few kilobytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

from orchestrator.errors import BadRequest
from orchestrator.model import Bundle, Rendering

# The zip format's first moment; any fixed one would do.
MOMENT = (1980, 1, 1, 0, 0, 0)
UNIX = 3
REGULAR_FILE_0644 = 0o100644


def package(rendering: Rendering) -> Bundle:
    """The bundle of the rendering's files: sorted names, no times, no owners, nothing of this machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(rendering.files):
            member = zipfile.ZipInfo(name, MOMENT)
            member.create_system = UNIX
            member.external_attr = REGULAR_FILE_0644 << 16
            archive.writestr(member, rendering.files[name])
    data = buffer.getvalue()
    return Bundle(hashlib.sha256(data).hexdigest(), data)


def unpack(data: bytes) -> Mapping[str, bytes]:
    """The files of a bundle, by name. Raises BadRequest when the bytes are no zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {member.filename: archive.read(member) for member in archive.infolist() if not member.is_dir()}
    except zipfile.BadZipFile as error:
        raise BadRequest(f"The bundle is not a zip file: {error}") from error
