"""A commit in CodeCommit: the config at its root, and the folders of code that the config names."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, BadRequest
from orchestrator.sources import LARGEST_SOURCE_BYTES, File

CONFIG_FILE = "mlops-config.json"
ABSENT_FILE = frozenset({"FileDoesNotExistException", "FolderDoesNotExistException"})
NO_FOLDER = ABSENT_FILE | {"PathRequiredException", "InvalidPathException"}


class Commit:
    """One commit, read through CodeCommit's API (no clone, no git)."""

    def __init__(self, aws: Aws, repository: str, commit: str) -> None:
        self._aws = aws
        self._where = {"repositoryName": repository, "commitSpecifier": commit}
        self.name = f"{repository}@{commit}"

    def config(self) -> bytes | None:
        """The ``mlops-config.json`` at the root as it was written, or None when the commit has none."""
        try:
            answer = self._aws.call("codecommit", "get_file", filePath=CONFIG_FILE, **self._where)
        except AwsFailed as error:
            if error.code in ABSENT_FILE:
                return None
            raise
        return bytes(answer["fileContent"])

    def folder(self, path: str) -> Mapping[str, File] | None:
        """Every file below a folder, by its path relative to it; None when the commit has no such folder.

        Raises BadRequest for a folder with symbolic links or submodules, or with more than 50 MB.
        """
        root = posixpath.normpath(path)
        if root.startswith(("/", "..")):
            return None
        files: dict[str, File] = {}
        folders, size = [root], 0
        while folders:
            try:
                answer = self._aws.call("codecommit", "get_folder", folderPath=folders.pop(), **self._where)
            except AwsFailed as error:
                if error.code in NO_FOLDER and not files:
                    return None
                raise
            if answer.get("symbolicLinks") or answer.get("subModules"):
                raise BadRequest(
                    f"The folder {answer['folderPath'] or '/'} of {self.name} holds a symbolic link or a submodule.",
                    hint="Commit the files themselves.",
                )
            folders += [folder["absolutePath"] for folder in answer.get("subFolders", [])]
            for file in answer.get("files", []):
                read = self._file(file)
                files[posixpath.relpath(file["absolutePath"], root)] = read
                size += len(read.data)
                if size > LARGEST_SOURCE_BYTES:
                    raise BadRequest(f"The folder {path} of {self.name} is larger than {LARGEST_SOURCE_BYTES:,} bytes.")
        return files

    def _file(self, file: Mapping[str, str]) -> File:
        answer = self._aws.call("codecommit", "get_file", filePath=file["absolutePath"], **self._where)
        return File(answer["fileContent"], file.get("fileMode") == "EXECUTABLE")


def parse(data: bytes | str, what: str) -> Any:
    """JSON a person wrote. Raises BadRequest with the place of the mistake."""
    try:
        return json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except UnicodeDecodeError as error:
        raise BadRequest(f"{what} is not UTF-8 text: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{what} is not JSON: {error}.", hint="Check it with `mlops validate`.") from error
