"""A commit, in CodeCommit or as a connection hands it on: its configs, and the folders of code that they name."""

from __future__ import annotations

import io
import json
import posixpath
import stat
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.aws import Aws
from orchestrator.errors import AwsFailed, BadRequest
from orchestrator.sources import LARGEST_SOURCE_BYTES, File

CONFIG_FILE = "mlops-config.json"
LARGEST_CHECKOUT_BYTES = 200_000_000
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


class Checkout:
    """A commit as CodePipeline's source action hands it on: a zip of the files, in the artifact bucket.

    Raises BadRequest for an archive that is none, holds symbolic links, or is larger than 200 MB.
    """

    def __init__(self, aws: Aws, bucket: str, key: str, name: str) -> None:
        self.name = name
        answer = aws.call("s3", "get_object", Bucket=bucket, Key=key)
        if answer["ContentLength"] > LARGEST_CHECKOUT_BYTES:
            raise self._too_large()
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(answer["Body"].read()))
        except zipfile.BadZipFile as error:
            raise BadRequest(f"The artifact of {name} is no zip: {error}.") from error
        members = [member for member in self._archive.infolist() if not member.is_dir()]
        if sum(member.file_size for member in members) > LARGEST_CHECKOUT_BYTES:
            raise self._too_large()
        self._members = {posixpath.normpath(member.filename): member for member in members}

    def _too_large(self) -> BadRequest:
        return BadRequest(
            f"{self.name} is larger than {LARGEST_CHECKOUT_BYTES:,} bytes.", hint="Keep data in the assets bucket."
        )

    def configs(self) -> Mapping[str, bytes]:
        """Path -> text of every ``mlops-config.json``, at the root or below it."""
        found = [path for path in sorted(self._members) if posixpath.basename(path) == CONFIG_FILE]
        return {path: self._archive.read(self._members[path]) for path in found}

    def folder_beside(self, config: str) -> Callable[[str], Mapping[str, File] | None]:
        """Gives the files of a folder by its path relative to a config; None when there is no such folder."""
        base = posixpath.dirname(config)

        def folder(path: str) -> Mapping[str, File] | None:
            root = posixpath.normpath(posixpath.join(base, path))
            if root.startswith(("/", "..")):
                return None
            start = "" if root == "." else f"{root}/"
            inside = {one: member for one, member in self._members.items() if one.startswith(start)}
            return {one.removeprefix(start): self._file(member) for one, member in inside.items()} or None

        return folder

    def _file(self, member: zipfile.ZipInfo) -> File:
        mode = member.external_attr >> 16
        if stat.S_ISLNK(mode):
            raise BadRequest(
                f"{member.filename} of {self.name} is a symbolic link.", hint="Commit the files themselves."
            )
        return File(self._archive.read(member), bool(mode & stat.S_IXUSR))


def parse(data: bytes | str, what: str) -> Any:
    """JSON a person wrote. Raises BadRequest with the place of the mistake."""
    try:
        return json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except UnicodeDecodeError as error:
        raise BadRequest(f"{what} is not UTF-8 text: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{what} is not JSON: {error}.", hint="Check it with `mlops validate`.") from error
