"""Folders of code become archives named by their content; the rest of a config stays as it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from typing import Any

import pytest

from orchestrator.commits import Commit
from orchestrator.errors import BadRequest
from orchestrator.sources import File, pack, with_uploaded_sources
from tests.corridor.cloud import Cloud, refusing

FILES = {"train.py": File(b"print()"), "lib/a.py": File(b"a = 1"), "run.sh": File(b"#!/bin/sh", executable=True)}


def test_the_same_files_are_the_same_bytes() -> None:
    key, data = pack(FILES)
    assert (key, data) == pack(dict(reversed(FILES.items())))
    assert key == f"sources/{hashlib.sha256(gzip.decompress(data)).hexdigest()}.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {member.name: member for member in archive.getmembers()}
    assert list(members) == ["lib/a.py", "run.sh", "train.py"]
    assert members["run.sh"].mode == 0o755 and members["train.py"].mode == 0o644
    assert {(member.mtime, member.uid, member.uname) for member in members.values()} == {(0, 0, "")}


def test_a_folder_that_an_image_is_built_from_becomes_a_zip() -> None:
    cloud = Cloud()
    body = {"pipelines": [{"source": "code"}, {"source": "images/ready.zip"}, {"source_dir": "code"}]}
    made = with_uploaded_sources(body, lambda path: FILES if path == "code" else None, cloud.aws())
    key = made["pipelines"][0]["source"]
    assert key == pack(FILES)[0].replace(".tar.gz", ".zip")
    assert made["pipelines"][1]["source"] == "images/ready.zip"
    assert made["pipelines"][2]["source_dir"] == pack(FILES)[0]
    assert pack(FILES, ".zip") == pack(dict(reversed(FILES.items())), ".zip")
    with zipfile.ZipFile(io.BytesIO(cloud.objects["assets", key]["Body"])) as archive:
        members = {member.filename: member for member in archive.infolist()}
        assert archive.read("train.py") == b"print()"
    assert list(members) == ["lib/a.py", "run.sh", "train.py"]
    assert members["run.sh"].external_attr >> 16 == 0o755


@pytest.mark.parametrize("files", [{}, {"data.csv": File(b"x" * 50_000_001)}])
def test_nothing_and_too_much_are_refused(files: Any) -> None:
    with pytest.raises(BadRequest, match="must hold between"):
        pack(files)


def test_every_folder_is_uploaded_once_and_other_values_stay() -> None:
    cloud = Cloud()
    body = {
        "pipelines": [
            {"name": "a", "source_dir": "code"},
            {"name": "b", "source_dir": "code"},
            {"name": "c", "source_dir": "sources/ready.tar.gz"},
            {"name": "d", "source_dir": "s3://bucket/key"},
            {"name": "e", "source_dir": "absent"},
            {"name": "f", "source_dir": 7},
            "nonsense",
        ]
    }
    made = with_uploaded_sources(body, lambda path: FILES if path == "code" else None, cloud.aws())
    key = pack(FILES)[0]
    found = [one["source_dir"] for one in made["pipelines"] if isinstance(one, dict)]
    assert found == [key, key, "sources/ready.tar.gz", "s3://bucket/key", "absent", 7]
    assert made["pipelines"][-1] == "nonsense"
    assert cloud.calls() == ["s3.put_object"]
    assert body["pipelines"][0]["source_dir"] == "code"  # type: ignore[index]  # the user's document is not ours


def test_the_one_pipeline_form_and_an_archive_that_is_there() -> None:
    cloud = Cloud()
    cloud.objects["assets", pack(FILES)[0]] = {"Body": b"kept", "ETag": '"1"'}
    made = with_uploaded_sources({"source_dir": "code"}, lambda _: FILES, cloud.aws())
    assert made == {"source_dir": pack(FILES)[0]}
    assert cloud.objects["assets", pack(FILES)[0]]["Body"] == b"kept"


# ---- a commit ----


def repository(tree: dict[str, bytes], **special: Any) -> Cloud:
    """A CodeCommit repository with these files."""

    def get_folder(account: str, repositoryName: str, commitSpecifier: str, folderPath: str) -> dict[str, Any]:
        prefix = "" if folderPath in (".", "") else f"{folderPath}/"
        below = [path for path in tree if path.startswith(prefix)]
        if not below:
            refusing("FolderDoesNotExistException")()
        names = {path[len(prefix) :].split("/")[0] for path in below}
        files = [{"absolutePath": prefix + name, "fileMode": "NORMAL"} for name in names if prefix + name in tree]
        folders = [{"absolutePath": prefix + name} for name in names if prefix + name not in tree]
        base = {"commitId": commitSpecifier, "folderPath": folderPath, "files": files, "subFolders": folders}
        return {**base, **special}

    cloud = Cloud()
    cloud.answers["codecommit.get_folder"] = get_folder
    cloud.answers["codecommit.get_file"] = lambda account, filePath, **_: {"fileContent": tree[filePath]}
    return cloud


def commit(cloud: Cloud) -> Commit:
    return Commit(cloud.aws(), "models", "c1")


@pytest.mark.parametrize("path", ["code", "./code", "code/"])
def test_a_folder_of_a_commit_is_read_to_the_bottom(path: str) -> None:
    tree = {"code/train.py": b"1", "code/lib/deep/a.py": b"2", "other/b.py": b"3"}
    assert commit(repository(tree)).folder(path) == {"train.py": File(b"1"), "lib/deep/a.py": File(b"2")}


@pytest.mark.parametrize("path", ["absent", "../up", "/root", "code/../.."])
def test_what_is_no_folder_of_the_commit_is_none(path: str) -> None:
    assert commit(repository({"code/train.py": b"1"})).folder(path) is None


@pytest.mark.parametrize("special", ["symbolicLinks", "subModules"])
def test_links_and_submodules_are_refused(special: str) -> None:
    link = [{"absolutePath": "code/link"}]
    with pytest.raises(BadRequest, match="symbolic link or a submodule"):
        commit(repository({"code/train.py": b"1"}, **{special: link})).folder("code")
