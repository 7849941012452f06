"""The CodeCommit API on real Git repositories: bare ones of ours, and users' own that are linked.

Bare repositories lie in ``<home>/repositories/<account>/<region>/<name>.git``: cloning from there and pushing to
there is as good as the clone URL on AWS. A linked repository is a working copy somewhere on the disk; a plain
``git commit`` in it is noticed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.codecommit.git import Entry, Git, GitFailed, directory_of
from orchestrator.local.services.codecommit.reading import FILE_MODES, Parameters, Reading, checked_path
from orchestrator.local.services.codecommit.watch import WATCH, Watcher
from orchestrator.local.store import AlreadyExists, Document, Key

NAME = re.compile(r"(?!.*\.git$)[\w.-]{1,100}")
BRANCH = re.compile(
    r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[^\s~^:?*\[\\\x00-\x1f\x7f/.-][^\s~^:?*\[\\\x00-\x1f\x7f]*(?<![/.])"
)
MODES = {name: mode for mode, name in FILE_MODES.items()}


class CodeCommit(Reading):
    """Repositories, branches and commits."""

    name: ClassVar[str] = "codecommit"

    def register_tasks(self) -> None:
        self.watcher = Watcher(self.world)

    def recover(self) -> None:
        for key, _ in self.store.list(self.name, "Repository"):
            self.watcher.look(key)

    # --- repositories

    def CreateRepository(self, call: Call, parameters: Parameters) -> Parameters:
        name = checked_name(parameters["repositoryName"])
        if parameters.get("kmsKeyId"):
            text = "The embedded AWS keeps repositories as plain files: kmsKeyId is not supported"
            raise ServiceError("EncryptionKeyInvalidUsageException", text)
        key = self.key(call, "Repository", name)
        if self.store.get(key) is not None:
            raise ServiceError("RepositoryNameExistsException", f"Repository named {name} already exists")
        directory = self._folder(key)
        shutil.rmtree(directory, ignore_errors=True)  # left by a process that died before it wrote the document
        Git(directory).create()
        document = self._new(key, directory, parameters)
        try:
            with self.store.transaction():
                self.store.create(key, document)
                self.watcher.look(key)
        except AlreadyExists:
            raise ServiceError("RepositoryNameExistsException", f"Repository named {name} already exists") from None
        return {"repositoryMetadata": document["metadata"]}

    def _new(self, key: Key, directory: Path, parameters: Parameters) -> Document:
        now = self.world.now()
        host = f"git-codecommit.{key.region}.amazonaws.com/v1/repos/{key.name}"
        metadata = {
            "accountId": key.account,
            "repositoryId": str(uuid.uuid4()),
            "repositoryName": key.name,
            "creationDate": now,
            "lastModifiedDate": now,
            "cloneUrlHttp": f"https://{host}",
            "cloneUrlSsh": f"ssh://{host}",
            "Arn": f"arn:aws:codecommit:{key.region}:{key.account}:{key.name}",
        }
        if parameters.get("repositoryDescription"):
            metadata["repositoryDescription"] = parameters["repositoryDescription"]
        return {
            "metadata": metadata,
            "directory": str(directory),
            "linked": "",
            "branches": {},
            "signature": [],
            "outbox": [],
            "tags": parameters.get("tags", {}),
        }

    def GetRepository(self, call: Call, parameters: Parameters) -> Parameters:
        _, document, _ = self.repository(call, parameters["repositoryName"])
        return {"repositoryMetadata": document["metadata"]}

    def ListRepositories(self, call: Call, parameters: Parameters) -> Parameters:
        found = [
            document["metadata"] for _, document in self.store.list(self.name, "Repository", call.account, call.region)
        ]
        field = "lastModifiedDate" if parameters.get("sortBy") == "lastModifiedDate" else "repositoryName"
        found.sort(key=lambda metadata: metadata[field], reverse=parameters.get("order") == "descending")
        names = ("repositoryName", "repositoryId")
        return {"repositories": [{name: metadata[name] for name in names} for metadata in found]}

    def DeleteRepository(self, call: Call, parameters: Parameters) -> Parameters:
        """Forgets the repository; the files go only if they are ours. Deleting what is not there is no error."""
        key = self.key(call, "Repository", parameters["repositoryName"])
        document = self.store.get(key)
        if document is None:
            return {}
        self.store.delete(key)
        shutil.rmtree(self._folder(key), ignore_errors=True)
        return {"repositoryId": document["metadata"]["repositoryId"]}

    def UpdateDefaultBranch(self, call: Call, parameters: Parameters) -> Parameters:
        key, document, git = self.repository(call, parameters["repositoryName"])
        self._branch(git, parameters["defaultBranchName"])
        self.store.patch(key, metadata={**document["metadata"], "defaultBranch": parameters["defaultBranchName"]})
        return {}

    def TagResource(self, call: Call, parameters: Parameters) -> Parameters:
        key, document, _ = self.repository(call, parameters["resourceArn"].rpartition(":")[2])
        self.store.patch(key, tags={**document["tags"], **parameters["tags"]})
        return {}

    def UntagResource(self, call: Call, parameters: Parameters) -> Parameters:
        key, document, _ = self.repository(call, parameters["resourceArn"].rpartition(":")[2])
        gone = set(parameters["tagKeys"])
        self.store.patch(key, tags={name: value for name, value in document["tags"].items() if name not in gone})
        return {}

    def ListTagsForResource(self, call: Call, parameters: Parameters) -> Parameters:
        _, document, _ = self.repository(call, parameters["resourceArn"].rpartition(":")[2])
        return {"tags": document["tags"]}

    # --- branches and commits

    def CreateBranch(self, call: Call, parameters: Parameters) -> Parameters:
        key, _, git = self._writable(call, parameters)
        name = checked_branch(parameters["branchName"])
        commit = git.commit(parameters["commitId"])
        if commit is None:
            raise ServiceError("CommitDoesNotExistException", f"Commit {parameters['commitId']} does not exist")
        if name in git.branches():
            raise ServiceError("BranchNameExistsException", f"Branch {name} already exists")
        git.move_branch(name, commit, None)
        self.watcher.look(key)
        return {}

    def DeleteBranch(self, call: Call, parameters: Parameters) -> Parameters:
        key, document, git = self._writable(call, parameters)
        name = parameters["branchName"]
        if name == document["metadata"].get("defaultBranch"):
            text = f"{name} is the default branch and cannot be deleted"
            raise ServiceError("DefaultBranchCannotBeDeletedException", text)
        commit = git.branches().get(name)
        if commit is None:
            return {}
        git.delete_branch(name)
        self.watcher.look(key)
        return {"deletedBranch": {"branchName": name, "commitId": commit}}

    def PutFile(self, call: Call, parameters: Parameters) -> Parameters:
        path = checked_path(parameters["filePath"])
        file: Parameters = {field: parameters[field] for field in ("fileContent", "fileMode") if field in parameters}
        request = {**parameters, "putFiles": [{"filePath": path, **file}], "authorName": parameters.get("name")}
        made = self.CreateCommit(call, request)
        written = [*made["filesAdded"], *made["filesUpdated"]]
        return {"commitId": made["commitId"], "treeId": made["treeId"], "blobId": written[0]["blobId"]}

    def CreateCommit(self, call: Call, parameters: Parameters) -> Parameters:
        key, _, git = self._writable(call, parameters)
        branch = checked_branch(parameters["branchName"])
        parent = git.branches().get(branch)
        check_parent(parent, parameters.get("parentCommitId"))
        entries: dict[str, Entry] = git.files(parent) if parent else {}
        files: dict[str, tuple[str, str]] = {path: (each.mode, each.object_id) for path, each in entries.items()}
        before = dict(files)
        apply(git, files, parameters)
        if files == before:
            raise ServiceError("NoChangeException", "The commit would not change any file")
        with tempfile.TemporaryDirectory() as folder:
            lines = ((mode, object_id, path) for path, (mode, object_id) in files.items())
            tree = git.write_tree(lines, Path(folder, "index"))
        author = parameters.get("authorName") or "AWS CodeCommit"
        message = parameters.get("commitMessage") or "Edited through the API"
        commit = git.write_commit(tree, parent, message, author, parameters.get("email") or "codecommit@localhost")
        try:
            git.move_branch(branch, commit, parent)
        except GitFailed as problem:
            raise ServiceError("ParentCommitIdOutdatedException", f"The branch has moved: {problem}") from None
        self.watcher.look(key)
        return {"commitId": commit, "treeId": tree, **touched(before, files)}

    def _writable(self, call: Call, parameters: Parameters) -> tuple[Key, Document, Git]:
        key, document, git = self.repository(call, parameters["repositoryName"])
        if document["linked"]:
            text = f"{key.name} is the working copy {document['linked']}: commit there, with git."
            raise ServiceError("UnsupportedOperation", text)
        return key, document, git

    # --- local controls

    def control(self, path: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """``POST link`` makes a working copy a repository; ``GET repositories`` says where all of them lie.

        The body of ``link``: account (name or id), region, name, path, and announce: whether commits that are
        there already are told of as new. Without it only later commits are.
        """
        if (method, path) == ("POST", "link"):
            return self._link(body)
        if (method, path) == ("GET", "repositories"):
            fields = ("directory", "linked")
            found = self.store.list(self.name, "Repository")
            return {"repositories": [{**key._asdict(), **{f: document[f] for f in fields}} for key, document in found]}
        return super().control(path, method, body)

    def _link(self, body: dict[str, Any]) -> dict[str, Any]:
        for field in ("account", "name", "path"):
            if not isinstance(body.get(field), str):
                raise ServiceError("ValidationException", f"'{field}' is needed, a string")
        account = self.world.accounts.get(body["account"], body["account"])
        key = Key(account, body.get("region") or self.world.region, self.name, "Repository", checked_name(body["name"]))
        path = Path(body["path"]).expanduser().resolve()
        try:
            directory = directory_of(path)
            branches = {} if body.get("announce") else Git(directory).branches()
        except (GitFailed, OSError) as problem:
            raise ServiceError("ValidationException", f"{path} cannot be linked: {problem}") from None
        with self.store.transaction():
            existing = self.store.get(key)
            if existing and not existing["linked"] and existing["branches"]:
                text = f"Repository named {key.name} already exists, with commits of its own"
                raise ServiceError("RepositoryNameExistsException", text)
            document = existing or self._new(key, directory, {})
            if document["linked"] != str(path):
                place = {"directory": str(directory), "linked": str(path)}
                document = {**document, **place, "branches": branches, "signature": []}
                self.store.put(key, document)
            self.tasks.schedule(WATCH, key)
        return {"repositoryName": key.name, "Arn": document["metadata"]["Arn"], "path": str(path)}

    def _folder(self, key: Key) -> Path:
        return self.world.home / "repositories" / key.account / key.region / f"{key.name}.git"


def checked_name(name: str) -> str:
    """The repository's name itself; raises InvalidRepositoryNameException."""
    if not NAME.fullmatch(name):
        text = f"{name} is not valid: letters, digits, periods, underscores and dashes, not ending in .git"
        raise ServiceError("InvalidRepositoryNameException", text)
    return name


def checked_branch(name: str) -> str:
    """The branch's name itself; raises InvalidBranchNameException (git-check-ref-format)."""
    if not BRANCH.fullmatch(name):
        raise ServiceError("InvalidBranchNameException", f"{name} is not a valid name of a branch")
    return name


def check_parent(parent: str | None, given: str | None) -> None:
    """A commit must say which commit it follows, so that nobody's work is lost unseen."""
    if parent is not None and given is None:
        raise ServiceError("ParentCommitIdRequiredException", "A parent commit ID is required: the branch has commits")
    if given is not None and given != parent:
        raise ServiceError("ParentCommitIdOutdatedException", f"The tip of the branch is {parent}, not {given}")


def apply(git: Git, files: dict[str, tuple[str, str]], parameters: Parameters) -> None:
    """Change the files of a commit as CreateCommit asks."""
    for put in parameters.get("putFiles", []):
        path = checked_path(put["filePath"])
        if not path:
            raise ServiceError("PathRequiredException", "A file path is required")
        if "sourceFile" in put:
            raise ServiceError("InvalidParameterException", "The embedded AWS does not support sourceFile of putFiles")
        if any(other.startswith(f"{path}/") for other in files):
            raise ServiceError("FileNameConflictsWithDirectoryNameException", f"{path} is a folder")
        if any(str(folder) in files for folder in PurePosixPath(path).parents):
            raise ServiceError("DirectoryNameConflictsWithFileNameException", f"A folder of {path} is a file")
        mode = MODES[put["fileMode"]] if "fileMode" in put else files.get(path, ("100644", ""))[0]
        new = (mode, git.write(put.get("fileContent", b"")))
        if files.get(path) == new:
            raise ServiceError("SameFileContentException", f"{path} has this content already")
        files[path] = new
    for change in parameters.get("setFileModes", []):
        path = existing_path(files, change)
        files[path] = (MODES[change["fileMode"]], files[path][1])
    for deletion in parameters.get("deleteFiles", []):
        del files[existing_path(files, deletion)]


def existing_path(files: dict[str, tuple[str, str]], entry: Parameters) -> str:
    """The path of a file that must be there; raises FileDoesNotExistException."""
    path = checked_path(entry["filePath"])
    if path not in files:
        raise ServiceError("FileDoesNotExistException", f"{path} does not exist")
    return path


def touched(before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]) -> Parameters:
    """What a commit did to the files, as CreateCommit answers it."""

    def shown(path: str, file: tuple[str, str]) -> Parameters:
        return {"absolutePath": path, "blobId": file[1], "fileMode": FILE_MODES.get(file[0], "NORMAL")}

    return {
        "filesAdded": [shown(path, file) for path, file in after.items() if path not in before],
        "filesUpdated": [shown(path, f) for path, f in after.items() if path in before and before[path] != f],
        "filesDeleted": [shown(path, file) for path, file in before.items() if path not in after],
    }
