"""Zips that are the same bytes for the same files: sorted names, no times, no owners, nothing of this machine."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from types import MappingProxyType

# The zip format's first moment; any fixed one would do.
MOMENT = (1980, 1, 1, 0, 0, 0)
UNIX = 3


def zipped(
    files: Mapping[str, bytes],
    modes: Mapping[str, int] = MappingProxyType({}),
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """The zip of files by name.

    ``modes`` are the Unix modes that are not 0644; ``compression`` is one of zipfile's kinds.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, MOMENT)
            member.compress_type = compression
            member.create_system = UNIX
            member.external_attr = modes.get(name, 0o644) << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()
