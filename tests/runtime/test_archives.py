"""Archives unpack inside their folder or not at all, on every supported Python."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from orchestrator.runtime import archives


def archive(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """A tar.gz of files (name, content); content None makes a link to /etc/passwd."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content or b""))
    return path


@pytest.fixture(params=["with filters", "without filters"], autouse=True)
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 3.11.4 and newer, and as the ones before, which have no extraction filters."""
    if request.param == "without filters":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


def test_what_is_packed_comes_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "code").mkdir(parents=True)
    (source / "model.bin").write_bytes(b"model")
    (source / "code/inference.py").write_text("pass")
    archives.pack(source, tmp_path / "model.tar.gz")
    archives.unpack(tmp_path / "model.tar.gz", tmp_path / "out")
    assert (tmp_path / "out/model.bin").read_bytes() == b"model"
    assert (tmp_path / "out/code/inference.py").read_text() == "pass"


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped"])
def test_nothing_escapes(tmp_path: Path, name: str) -> None:
    with pytest.raises(archives.BadArchive):
        archives.unpack(archive(tmp_path / "bad.tar.gz", (name, b"x")), tmp_path / "out")
    assert not (tmp_path / "escaped").exists()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(archives.BadArchive):
        archives.unpack(archive(tmp_path / "bad.tar.gz", ("link", None)), tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(archives.BadArchive):
        archives.unpack(tmp_path / "bad.tar.gz", tmp_path / "out")
