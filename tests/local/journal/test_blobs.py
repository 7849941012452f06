"""Blobs and the bodies that live in them."""

from __future__ import annotations

import io
import os

import pytest

from orchestrator.local.journal.blobs import LARGE, Blobs, Body


@pytest.fixture
def blobs(tmp_path):
    made = Blobs(tmp_path / "blobs")
    Body.blobs = made
    return made


def names(blobs):
    return sorted(path.name for path in blobs._folder.iterdir())


def test_equal_contents_are_kept_once(blobs):
    assert blobs.put(b"a") == blobs.put(b"a") != blobs.put(b"b")
    assert len(names(blobs)) == 2
    assert blobs.get(blobs.put(b"abc")) == b"abc"
    assert blobs.get(blobs.put(b"abc"), 1, 1) == b"b"


def test_a_sweep_spares_what_is_used_and_what_is_held(blobs):
    used, unused = blobs.put(b"used"), blobs.put(b"unused")
    with blobs.holding(b"held") as held:
        blobs.sweep({used})
        assert names(blobs) == sorted([used, held])
    blobs.sweep({used})
    assert names(blobs) == [used] and unused not in names(blobs)


@pytest.mark.parametrize("size", [0, 5, LARGE, LARGE + 1, 5 * LARGE])
def test_a_body_behaves_as_a_file(blobs, size):
    content = os.urandom(size)
    body, file = Body(100), io.BytesIO()
    for it in (body, file):
        it.seek(0)
        it.truncate()
        it.write(content)
    assert bool(body.digest) is (size > LARGE)
    for position, whence, length in ((0, 0, -1), (3, 0, 10), (0, 0, 7), (0, 2, -1), (size // 2, 0, -1)):
        body.seek(position, whence)
        file.seek(position, whence)
        assert body.read(length) == file.read(length)
    body.close()
    body.seek(0)
    assert body.read() == content


def test_a_body_can_be_written_again(blobs):
    body = Body()
    body.write(b"x" * (LARGE + 1))
    body.seek(0)
    body.truncate()
    body.write(b"short")
    body.seek(0)
    assert body.read() == b"short" and body.digest == ""
    body.seek(2)
    body.write(bytearray(b"OR"))
    body.truncate()
    body.seek(0)
    assert body.read() == b"shOR"
