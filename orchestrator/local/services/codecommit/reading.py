"""The CodeCommit operations that read commits, files and folders."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.codecommit.git import OBJECT_ID, Entry, Git, GitFailed
from orchestrator.local.store import Document, Key

Parameters = dict[str, Any]

LARGEST_FILE_BYTES = 6 * 1024 * 1024
PAGE = 100
FILE_MODES = {"100644": "NORMAL", "100755": "EXECUTABLE", "120000": "SYMLINK"}
PERSON = re.compile(r"(?P<name>.*) <(?P<email>[^>]*)> (?P<date>-?\d+ [+-]\d{4})")


class Reading(Service):
    """Finds repositories and reads what is committed to them."""

    def GetBranch(self, call: Call, parameters: Parameters) -> Parameters:
        _, _, git = self.repository(call, parameters["repositoryName"])
        if not parameters.get("branchName"):
            raise ServiceError("BranchNameRequiredException", "A branch name is required.")
        name = parameters["branchName"]
        return {"branch": {"branchName": name, "commitId": self._branch(git, name)}}

    def ListBranches(self, call: Call, parameters: Parameters) -> Parameters:
        _, _, git = self.repository(call, parameters["repositoryName"])
        return {"branches": sorted(git.branches())}

    def GetCommit(self, call: Call, parameters: Parameters) -> Parameters:
        _, _, git = self.repository(call, parameters["repositoryName"])
        identifier = parameters["commitId"]
        found = git.commit(identifier) if OBJECT_ID.fullmatch(identifier) else None
        if found is None:
            raise ServiceError("CommitIdDoesNotExistException", f"Commit ID {identifier} does not exist")
        return {"commit": {"commitId": found, "additionalData": "", **parsed_commit(git.read("commit", found))}}

    def GetBlob(self, call: Call, parameters: Parameters) -> Parameters:
        _, _, git = self.repository(call, parameters["repositoryName"])
        identifier = parameters["blobId"]
        try:
            if OBJECT_ID.fullmatch(identifier):
                return {"content": git.read("blob", identifier)}
        except GitFailed:
            pass
        raise ServiceError("BlobIdDoesNotExistException", f"Blob ID {identifier} does not exist")

    def GetFile(self, call: Call, parameters: Parameters) -> Parameters:
        _, document, git = self.repository(call, parameters["repositoryName"])
        commit = self.commit(git, document, parameters.get("commitSpecifier"))
        path = checked_path(parameters["filePath"])
        entry = git.entry(commit, path) if path else None
        if entry is None or entry.kind != "blob":
            text = f"Could not find path {path}: no such file in commit {commit}"
            raise ServiceError("FileDoesNotExistException", text)
        if entry.size > LARGEST_FILE_BYTES:
            raise ServiceError("FileTooLargeException", f"{path} is larger than {LARGEST_FILE_BYTES} bytes")
        return {
            "commitId": commit,
            "blobId": entry.object_id,
            "filePath": path,
            "fileMode": FILE_MODES.get(entry.mode, "NORMAL"),
            "fileSize": entry.size,
            "fileContent": git.read("blob", entry.object_id),
        }

    def GetFolder(self, call: Call, parameters: Parameters) -> Parameters:
        _, document, git = self.repository(call, parameters["repositoryName"])
        commit = self.commit(git, document, parameters.get("commitSpecifier"))
        path = checked_path(parameters["folderPath"])
        entry = git.entry(commit, path)
        if entry is None or entry.kind != "tree":
            raise ServiceError("FolderDoesNotExistException", f"Could not find folder {path} in commit {commit}")
        answer: Parameters = {"subFolders": [], "files": [], "symbolicLinks": [], "subModules": []}
        for each in git.tree(entry.object_id):
            member, shown = listed(each, path)
            answer[member].append(shown)
        return {"commitId": commit, "folderPath": path, "treeId": entry.object_id, **answer}

    def GetDifferences(self, call: Call, parameters: Parameters) -> Parameters:
        _, document, git = self.repository(call, parameters["repositoryName"])
        after = self.commit(git, document, parameters["afterCommitSpecifier"])
        before = parameters.get("beforeCommitSpecifier")
        before = self.commit(git, document, before) if before else None
        inside = [checked_path(parameters[side]) for side in ("beforePath", "afterPath") if parameters.get(side)]
        found = []
        for change in git.changes(before, after):
            if inside and not any(change.path == path or change.path.startswith(path + "/") for path in inside):
                continue
            shown: Parameters = {"changeType": change.kind}
            if change.before_id:
                shown["beforeBlob"] = {"blobId": change.before_id, "path": change.path, "mode": change.before_mode}
            if change.after_id:
                shown["afterBlob"] = {"blobId": change.after_id, "path": change.path, "mode": change.after_mode}
            found.append(shown)
        first = int(parameters["NextToken"]) if re.fullmatch(r"\d{1,9}", parameters.get("NextToken", "")) else 0
        last = first + (parameters.get("MaxResults") or PAGE)
        return {"differences": found[first:last], **({"NextToken": str(last)} if last < len(found) else {})}

    # --- looking things up

    def repository(self, call: Call, name: str) -> tuple[Key, Document, Git]:
        """A repository of the caller's; raises RepositoryDoesNotExistException."""
        key = self.key(call, "Repository", name)
        document = self.store.get(key)
        if document is None:
            raise ServiceError("RepositoryDoesNotExistException", f"{name} does not exist")
        directory = Path(document["directory"])
        if not directory.is_dir():
            raise ServiceError("RepositoryDoesNotExistException", f"{name}: its folder {directory} is gone")
        return key, document, Git(directory)

    def commit(self, git: Git, document: Document, specifier: str | None) -> str:
        """The id of a commit; of the default branch's when none is specified."""
        specifier = specifier or document["metadata"].get("defaultBranch") or git.head()
        commit = git.commit(specifier)
        if commit is None:
            text = f"Could not resolve the commit specifier {specifier}"
            raise ServiceError("CommitDoesNotExistException", text)
        return commit

    def _branch(self, git: Git, name: str) -> str:
        commit = git.branches().get(name)
        if commit is None:
            raise ServiceError("BranchDoesNotExistException", f"Branch {name} does not exist")
        return commit


def checked_path(path: str) -> str:
    """A path inside the repository without slashes around it; raises InvalidPathException."""
    plain = path.strip("/")
    if plain in ("", "."):
        return ""
    parts = plain.split("/")
    if posixpath.normpath(plain) != plain or {"..", ".git"} & set(parts) or "\0" in plain:
        raise ServiceError("InvalidPathException", f"The specified path is not valid: {path}")
    return plain


def listed(entry: Entry, folder: str) -> tuple[str, Parameters]:
    """Where GetFolder lists an entry, and how."""
    place = {"absolutePath": f"{folder}/{entry.path}" if folder else entry.path, "relativePath": entry.path}
    if entry.kind == "tree":
        return "subFolders", {"treeId": entry.object_id, **place}
    if entry.kind == "commit":
        return "subModules", {"commitId": entry.object_id, **place}
    kind = FILE_MODES.get(entry.mode, "NORMAL")
    member = "symbolicLinks" if kind == "SYMLINK" else "files"
    return member, {"blobId": entry.object_id, "fileMode": kind, **place}


def parsed_commit(raw: bytes) -> Parameters:
    """The members of a commit object."""
    head, _, message = raw.decode(errors="replace").partition("\n\n")
    parsed: Parameters = {"parents": [], "message": message}
    for line in head.splitlines():
        name, _, value = line.partition(" ")
        if name == "tree":
            parsed["treeId"] = value
        elif name == "parent":
            parsed["parents"].append(value)
        elif name in ("author", "committer") and (match := PERSON.fullmatch(value)):
            parsed[name] = match.groupdict()
    return parsed
