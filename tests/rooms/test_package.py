"""The bundle: the same files are the same bytes."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadRequest
from orchestrator.model import Rendering
from orchestrator.package import package, unpack

NAMES = st.text(alphabet="abc/._-", min_size=1, max_size=12).filter(lambda name: not name.endswith("/"))


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=6))
def test_order_does_not_matter_and_nothing_is_lost(files: dict[str, bytes]) -> None:
    bundle = package(Rendering(files, ""))
    assert package(Rendering(dict(reversed(files.items())), "")) == bundle
    assert unpack(bundle.data) == files


def test_the_bytes_are_known() -> None:
    """Pinned: a bundle made by another Python or another zlib must be this one."""
    bundle = package(Rendering({"b.json": b"{}\n", "a/template.yaml": b'{"Resources": {}}\n'}, ""))
    assert bundle.digest == "85b338df94cf46dc037f16f098b15fb797f30fd9df3db84dd4f8491f0fa0b642"


def test_members_carry_nothing_of_this_machine() -> None:
    bundle = package(Rendering({"a": b"1"}, ""))
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        (member,) = archive.infolist()
    assert member.date_time == (1980, 1, 1, 0, 0, 0)
    assert member.compress_type == zipfile.ZIP_STORED
    assert member.external_attr >> 16 == 0o100644


def test_what_is_no_bundle_is_refused() -> None:
    with pytest.raises(BadRequest):
        unpack(b"not a zip")
