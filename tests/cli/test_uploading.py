"""Which keys `mlops upload` puts files under, and which it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.uploading import keys
from orchestrator.errors import BadRequest, NotFound


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows" / "deep").mkdir(parents=True)
    (tmp_path / "rows" / "a.csv").write_text("1")
    (tmp_path / "rows" / "deep" / "b.csv").write_text("2")
    return tmp_path / "rows"


@pytest.mark.parametrize(
    ("name", "to", "expected"),
    [
        ("", "", ["a.csv", "deep/b.csv"]),
        ("", "data", ["data/a.csv", "data/deep/b.csv"]),
        ("", "data/", ["data/a.csv", "data/deep/b.csv"]),
        ("a.csv", "", ["a.csv"]),
        ("a.csv", "data/", ["data/a.csv"]),
        ("a.csv", "data/train.csv", ["data/train.csv"]),
    ],
)
def test_a_folder_keeps_its_names_and_a_file_gets_the_one_it_is_given(
    folder: Path, name: str, to: str, expected: list[str]
) -> None:
    assert list(keys(folder / name, to)) == expected


@pytest.mark.parametrize("to", ["mlops_provisioned_pipelines", "sources/", "/data", "data//x", "../data", "data/./x"])
def test_no_key_that_is_the_orchestrators_or_none_at_all(folder: Path, to: str) -> None:
    with pytest.raises(BadRequest):
        keys(folder, to)


def test_nothing_to_upload_is_told(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(NotFound, match="no file in"):
        keys(folder / "empty")
    with pytest.raises(NotFound, match="no file or folder"):
        keys(folder / "nowhere")
