"""CodeCommit on real Git repositories: reading, writing, linking, and noticing commits exactly once."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.local.service import ServiceError
from orchestrator.local.services.codecommit.git import Git, GitFailed, directory_of, signature
from orchestrator.local.services.codecommit.reading import checked_path, parsed_commit
from orchestrator.local.services.codecommit.service import CodeCommit, checked_branch, checked_name
from orchestrator.local.services.codecommit.watch import changes
from tests.local.waiting import until

ACCOUNT, REGION = "111111111111", "us-east-1"
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **IDENTITY}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def working_copy(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def commit(folder: Path, name: str = "a.txt", text: str = "one", message: str = "a commit") -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


class Rig:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.events: list[dict[str, Any]] = []
        self.start()

    def start(self) -> None:
        self.embedded = EmbeddedAws(self.home, self.port, services=[CodeCommit])
        self.port = int(self.embedded.endpoint.rpartition(":")[2])
        self.embedded.services["codecommit"].world.emit = self._heard  # type: ignore[method-assign]
        self.embedded.start()
        self.codecommit = self.embedded.world.client("codecommit", ACCOUNT, REGION)

    def _heard(self, account: str, region: str, source: str, kind: str, detail: Any, resources: Any = ()) -> None:
        assert (account, region, source, kind) == (
            ACCOUNT, REGION, "aws.codecommit", "CodeCommit Repository State Change",
        )  # fmt: skip
        assert resources == [f"arn:aws:codecommit:{REGION}:{ACCOUNT}:{detail['repositoryName']}"]
        self.events.append(detail)

    def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.embedded.endpoint}/_local/codecommit/{path}", data=data)
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def link(self, path: Path, name: str = "r", **members: Any) -> dict[str, Any]:
        return self.control(
            "link", {"account": "orchestrator", "region": REGION, "name": name, "path": str(path), **members}
        )

    def heard(self, count: int) -> list[dict[str, Any]]:
        until(lambda: len(self.events) >= count)
        return self.events


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "home")
    yield made
    made.embedded.stop()


def refused(code: str, operation: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def test_the_life_of_a_repository(rig: Rig) -> None:
    cc = rig.codecommit
    made = cc.create_repository(repositoryName="r", repositoryDescription="d", tags={"team": "x"})["repositoryMetadata"]
    assert made["Arn"] == f"arn:aws:codecommit:{REGION}:{ACCOUNT}:r"
    assert made["cloneUrlHttp"].endswith("/v1/repos/r")
    refused("RepositoryNameExistsException", cc.create_repository, repositoryName="r")
    refused("InvalidRepositoryNameException", cc.create_repository, repositoryName="r.git")
    assert cc.get_repository(repositoryName="r")["repositoryMetadata"] == made
    assert [each["repositoryName"] for each in cc.list_repositories()["repositories"]] == ["r"]
    assert rig.embedded.world.client("codecommit", "222222222222", REGION).list_repositories()["repositories"] == []
    cc.tag_resource(resourceArn=made["Arn"], tags={"stage": "dev"})
    cc.untag_resource(resourceArn=made["Arn"], tagKeys=["team"])
    assert cc.list_tags_for_resource(resourceArn=made["Arn"])["tags"] == {"stage": "dev"}
    refused("UnsupportedOperation", cc.create_pull_request, title="t", targets=[])
    assert cc.delete_repository(repositoryName="r")["repositoryId"] == made["repositoryId"]
    assert "repositoryId" not in cc.delete_repository(repositoryName="r")
    refused("RepositoryDoesNotExistException", cc.get_repository, repositoryName="r")
    assert list((rig.home / "repositories" / ACCOUNT / REGION).iterdir()) == []


def test_a_push_is_noticed(rig: Rig, tmp_path: Path) -> None:
    rig.codecommit.create_repository(repositoryName="r")
    [place] = rig.control("repositories")["repositories"]
    copy = working_copy(tmp_path / "copy")
    first = commit(copy)
    git(copy, "push", "--quiet", place["directory"], "main")
    assert rig.heard(1) == [
        {
            "event": "referenceCreated",
            "referenceType": "branch",
            "referenceName": "main",
            "referenceFullName": "refs/heads/main",
            "commitId": first,
            "repositoryName": "r",
            "repositoryId": rig.codecommit.get_repository(repositoryName="r")["repositoryMetadata"]["repositoryId"],
            "callerUserArn": f"arn:aws:iam::{ACCOUNT}:root",
        }
    ]
    assert rig.codecommit.get_repository(repositoryName="r")["repositoryMetadata"]["defaultBranch"] == "main"
    second = commit(copy, text="two")
    git(copy, "push", "--quiet", place["directory"], "main", "main:side")
    assert [
        (each["event"], each["referenceName"], each["commitId"], each.get("oldCommitId")) for each in rig.heard(3)[1:]
    ] == [
        ("referenceUpdated", "main", second, first),
        ("referenceCreated", "side", second, None),
    ]
    git(copy, "push", "--quiet", place["directory"], ":side")
    assert (rig.heard(4)[3]["event"], rig.events[3]["oldCommitId"]) == ("referenceDeleted", second)


def test_a_commit_in_a_linked_working_copy_is_noticed_once_and_across_restarts(rig: Rig, tmp_path: Path) -> None:
    copy = working_copy(tmp_path / "copy")
    old = commit(copy)
    answer = rig.link(copy)
    assert answer == {"repositoryName": "r", "Arn": f"arn:aws:codecommit:{REGION}:{ACCOUNT}:r", "path": str(copy)}
    assert rig.link(copy) == answer
    first = commit(copy, text="two")
    [event] = rig.heard(1)
    assert (event["event"], event["commitId"], event["oldCommitId"]) == ("referenceUpdated", first, old)
    rig.embedded.stop()
    second = commit(copy, text="three")
    rig.start()
    assert rig.heard(2)[1]["commitId"] == second
    git(copy, "gc", "--quiet")  # references move into one file, and nothing has changed
    time.sleep(1.3)
    assert len(rig.events) == 2
    refused(
        "UnsupportedOperation", rig.codecommit.put_file,
        repositoryName="r", branchName="main", filePath="x", fileContent=b"x", parentCommitId=second,
    )  # fmt: skip
    rig.codecommit.delete_repository(repositoryName="r")
    assert (copy / "a.txt").exists()


def test_linking_can_announce_what_is_there(rig: Rig, tmp_path: Path) -> None:
    copy = working_copy(tmp_path / "copy")
    only = commit(copy)
    rig.link(copy, announce=True)
    assert [(each["event"], each["commitId"]) for each in rig.heard(1)] == [("referenceCreated", only)]


def test_a_worktree_is_linked_by_its_repository(rig: Rig, tmp_path: Path) -> None:
    copy = working_copy(tmp_path / "copy")
    commit(copy)
    git(copy, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "tree"))
    rig.link(tmp_path / "tree")
    made = commit(tmp_path / "tree", text="side")
    assert [(each["referenceName"], each["commitId"]) for each in rig.heard(1)] == [("side", made)]


def test_what_cannot_be_linked(rig: Rig, tmp_path: Path) -> None:
    def fails(body: dict[str, Any]) -> str:
        with pytest.raises(urllib.error.HTTPError) as caught:
            rig.control("link", body)
        return caught.value.read().decode()

    good = {"account": "orchestrator", "name": "r", "path": str(tmp_path)}
    assert "is not a Git repository" in fails(good)
    assert "'path' is needed" in fails({"account": "orchestrator", "name": "r"})
    assert "is not valid" in fails({**good, "name": "a/b"})
    rig.codecommit.create_repository(repositoryName="r")
    rig.codecommit.put_file(repositoryName="r", branchName="main", filePath="f", fileContent=b"x")
    rig.heard(1)
    assert "commits of its own" in fails({**good, "path": str(working_copy(tmp_path / "copy"))})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        rig.control("nothing")


@pytest.fixture
def filled(rig: Rig, tmp_path: Path) -> tuple[Rig, Path]:
    """A linked repository ``r`` with files, folders, a link and two commits."""
    copy = working_copy(tmp_path / "copy")
    commit(copy, "mlops-config.json", "{}", "first\n\nwith a body")
    (copy / "src").mkdir()
    (copy / "src" / "run.sh").write_text("#!/bin/sh\n")
    (copy / "src" / "run.sh").chmod(0o755)
    (copy / "link").symlink_to("mlops-config.json")
    commit(copy, "src/deep/ümlaut name.py", "x = 1\n", "second")
    rig.link(copy)
    return rig, copy


def test_reading_files(filled: tuple[Rig, Path]) -> None:
    rig, copy = filled
    head = git(copy, "rev-parse", "HEAD")
    for specifier in (
        {"commitSpecifier": head},
        {"commitSpecifier": "main"},
        {"commitSpecifier": "refs/heads/main"},
        {},
    ):
        found = rig.codecommit.get_file(repositoryName="r", filePath="src/deep/ümlaut name.py", **specifier)
        assert (found["fileContent"], found["commitId"], found["fileSize"]) == (b"x = 1\n", head, 6)
    script = rig.codecommit.get_file(repositoryName="r", filePath="/src/run.sh")
    assert script["fileMode"] == "EXECUTABLE"
    assert rig.codecommit.get_blob(repositoryName="r", blobId=script["blobId"])["content"] == b"#!/bin/sh\n"
    get = rig.codecommit.get_file
    refused("FileDoesNotExistException", get, repositoryName="r", filePath="gone")
    refused("FileDoesNotExistException", get, repositoryName="r", filePath="src")
    refused(
        "FileDoesNotExistException", get, repositoryName="r", filePath="src/deep/gone", commitSpecifier="HEAD~1"[:4]
    )
    refused("CommitDoesNotExistException", get, repositoryName="r", filePath="link", commitSpecifier="gone")
    refused("InvalidPathException", get, repositoryName="r", filePath="../copy/.git/config")
    refused("BlobIdDoesNotExistException", rig.codecommit.get_blob, repositoryName="r", blobId="0" * 40)


@pytest.mark.parametrize("specifier", ["HEAD~1", "main:src", "main@{0}", "-h", "main..main", "a b"])
def test_specifiers_are_names_not_git_expressions(filled: tuple[Rig, Path], specifier: str) -> None:
    get = filled[0].codecommit.get_file
    refused("CommitDoesNotExistException", get, repositoryName="r", filePath="link", commitSpecifier=specifier)


def test_reading_folders(filled: tuple[Rig, Path]) -> None:
    rig, _ = filled
    root = rig.codecommit.get_folder(repositoryName="r", folderPath="/")
    assert [each["absolutePath"] for each in root["files"]] == ["mlops-config.json"]
    assert [each["absolutePath"] for each in root["subFolders"]] == ["src"]
    assert [each["absolutePath"] for each in root["symbolicLinks"]] == ["link"]
    source = rig.codecommit.get_folder(repositoryName="r", folderPath="src/")
    assert [(each["absolutePath"], each["relativePath"], each["fileMode"]) for each in source["files"]] == [
        ("src/run.sh", "run.sh", "EXECUTABLE")
    ]
    assert source["subFolders"][0]["absolutePath"] == "src/deep"
    refused("FolderDoesNotExistException", rig.codecommit.get_folder, repositoryName="r", folderPath="gone")
    refused("FolderDoesNotExistException", rig.codecommit.get_folder, repositoryName="r", folderPath="link")


def test_reading_commits_and_branches(filled: tuple[Rig, Path]) -> None:
    rig, copy = filled
    head, parent = git(copy, "rev-parse", "HEAD"), git(copy, "rev-parse", "HEAD~1")
    found = rig.codecommit.get_commit(repositoryName="r", commitId=head)["commit"]
    assert (found["parents"], found["message"], found["author"]["email"]) == ([parent], "second\n", "ada@example.com")
    assert found["treeId"] == git(copy, "rev-parse", "HEAD^{tree}")
    refused("CommitIdDoesNotExistException", rig.codecommit.get_commit, repositoryName="r", commitId="0" * 40)
    assert rig.codecommit.get_branch(repositoryName="r", branchName="main")["branch"]["commitId"] == head
    assert rig.codecommit.list_branches(repositoryName="r")["branches"] == ["main"]
    refused("BranchDoesNotExistException", rig.codecommit.get_branch, repositoryName="r", branchName="gone")


def test_differences(filled: tuple[Rig, Path]) -> None:
    rig, copy = filled
    git(copy, "rm", "--quiet", "link")
    commit(copy, "mlops-config.json", "{ }")

    def differences(**parameters: Any) -> list[tuple[str, str]]:
        pages = rig.codecommit.get_paginator("get_differences").paginate(
            repositoryName="r", afterCommitSpecifier="main", PaginationConfig={"PageSize": 2}, **parameters
        )
        return [
            (each["changeType"], each.get("afterBlob", each.get("beforeBlob"))["path"])
            for page in pages
            for each in page["differences"]
        ]

    before = git(copy, "rev-parse", "HEAD~1")
    assert differences(beforeCommitSpecifier=before) == [("D", "link"), ("M", "mlops-config.json")]
    everything = [("A", "mlops-config.json"), ("A", "src/deep/ümlaut name.py"), ("A", "src/run.sh")]
    assert differences() == everything
    assert differences(afterPath="src/") == everything[1:]


def test_writing_through_the_api(rig: Rig) -> None:
    cc = rig.codecommit
    cc.create_repository(repositoryName="r")
    where = {"repositoryName": "r", "branchName": "main"}
    first = cc.put_file(**where, filePath="a/one.txt", fileContent=b"1", name="Ada", email="a@b", commitMessage="put")
    rig.heard(1)
    refused("ParentCommitIdRequiredException", cc.put_file, **where, filePath="b", fileContent=b"2")
    refused(
        "ParentCommitIdOutdatedException", cc.put_file, **where, filePath="b", fileContent=b"2", parentCommitId="0" * 40
    )
    parent = {"parentCommitId": first["commitId"]}
    refused("SameFileContentException", cc.put_file, **where, **parent, filePath="a/one.txt", fileContent=b"1")
    refused(
        "FileNameConflictsWithDirectoryNameException", cc.put_file, **where, **parent, filePath="a", fileContent=b"1"
    )
    refused(
        "DirectoryNameConflictsWithFileNameException", cc.put_file,
        **where, **parent, filePath="a/one.txt/x", fileContent=b"1",
    )  # fmt: skip
    second = cc.create_commit(
        **where,
        **parent,
        putFiles=[{"filePath": "b.sh", "fileContent": b"2", "fileMode": "EXECUTABLE"}],
        deleteFiles=[{"filePath": "a/one.txt"}],
    )
    assert [each["absolutePath"] for each in second["filesAdded"]] == ["b.sh"]
    assert [each["absolutePath"] for each in second["filesDeleted"]] == ["a/one.txt"]
    assert cc.get_folder(repositoryName="r", folderPath="")["treeId"] == second["treeId"]
    assert cc.get_commit(repositoryName="r", commitId=first["commitId"])["commit"]["author"]["name"] == "Ada"
    cc.create_branch(repositoryName="r", branchName="side", commitId=second["commitId"])
    refused(
        "BranchNameExistsException",
        cc.create_branch,
        repositoryName="r",
        branchName="side",
        commitId=second["commitId"],
    )
    refused("DefaultBranchCannotBeDeletedException", cc.delete_branch, repositoryName="r", branchName="main")
    cc.update_default_branch(repositoryName="r", defaultBranchName="side")
    assert cc.delete_branch(repositoryName="r", branchName="main")["deletedBranch"]["commitId"] == second["commitId"]
    rig.heard(4)
    assert sorted(each["event"] for each in rig.events) == [
        "referenceCreated", "referenceCreated", "referenceDeleted", "referenceUpdated",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {}, []),
        ({"a": "1"}, {"a": "1"}, []),
        ({}, {"a": "1"}, [("referenceCreated", "a")]),
        ({"a": "1"}, {"a": "2"}, [("referenceUpdated", "a")]),
        ({"a": "1"}, {}, [("referenceDeleted", "a")]),
        ({"a": "1", "b": "1"}, {"b": "1", "c": "1"}, [("referenceDeleted", "a"), ("referenceCreated", "c")]),
    ],
)  # fmt: skip
def test_changes(before: dict[str, str], after: dict[str, str], found: list[tuple[str, str]]) -> None:
    assert [(each["event"], each["referenceName"]) for each in changes(before, after)] == found


def test_the_signature_changes_with_every_branch(tmp_path: Path) -> None:
    copy = working_copy(tmp_path / "copy")
    seen = [signature(copy / ".git")]
    for action in (
        lambda: commit(copy),
        lambda: git(copy, "branch", "a/b"),
        lambda: git(copy, "pack-refs", "--all"),
        lambda: git(copy, "branch", "-D", "a/b"),
    ):
        action()
        assert signature(copy / ".git") not in seen
        seen.append(signature(copy / ".git"))
    assert signature(copy / ".git") == seen[-1]


def test_the_users_configuration_runs_nothing(tmp_path: Path) -> None:
    copy = working_copy(tmp_path / "copy")
    for setting in ("core.fsmonitor", "core.pager", "diff.external", "core.sshCommand"):
        git(copy, "config", setting, f"touch {tmp_path / 'ran'}")
    made = Git(directory_of(copy))
    after = commit_quietly(copy)
    made.branches(), made.files(after), made.changes(None, after), made.tree(after)
    assert not (tmp_path / "ran").exists()


def commit_quietly(copy: Path) -> str:
    """A commit without the settings under test."""
    config = (copy / ".git" / "config").read_text()
    (copy / ".git" / "config").write_text("[core]\n\trepositoryformatversion = 0\n")
    made = commit(copy)
    (copy / ".git" / "config").write_text(config)
    return made


def test_a_failing_git_says_what_git_said(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="not a git repository"):
        Git(tmp_path).branches()


@pytest.mark.parametrize(("path", "plain"), [("", ""), ("/", ""), (".", ""), ("/a/b/", "a/b"), ("a..b", "a..b")])
def test_paths(path: str, plain: str) -> None:
    assert checked_path(path) == plain


@pytest.mark.parametrize("path", ["..", "a/../b", ".git/config", "a//b", "a\0b", "./a"])
def test_paths_refused(path: str) -> None:
    with pytest.raises(ServiceError, match="InvalidPathException"):
        checked_path(path)


@pytest.mark.parametrize("name", ["", "a b", "a.git", "a/b", "x" * 101])
def test_names_refused(name: str) -> None:
    with pytest.raises(ServiceError):
        checked_name(name)


@pytest.mark.parametrize("name", ["-x", "a..b", "a b", "a~1", "x.lock", "a/", "/a", "a@{1}", ".x", "a:b"])
def test_branch_names_refused(name: str) -> None:
    with pytest.raises(ServiceError):
        checked_branch(name)


def test_commits_are_parsed() -> None:
    raw = b"tree t\nparent p\nparent q\nauthor A B <a@b> 1700000000 +0100\ngpgsig -----\n x\n\nsubject\n\nbody\n"
    assert parsed_commit(raw) == {
        "treeId": "t",
        "parents": ["p", "q"],
        "author": {"name": "A B", "email": "a@b", "date": "1700000000 +0100"},
        "message": "subject\n\nbody\n",
    }
