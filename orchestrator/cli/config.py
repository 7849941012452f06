"""The config a command works on: found, read, its source folders packed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from orchestrator.sources import File

DEFAULT = "mlops-config.json"


def read(path: str) -> Any:
    """The JSON document in the file; ``-`` reads standard input.

    Raises NotFound when there is no such file and BadRequest, with line and column, when it is not JSON.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"There is no config {path}.", hint="Name a file, or write one with `mlops init`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{path} is not JSON: {error}", hint="Check the place it names.") from error


def add_argument(parser: Any) -> None:
    """The argument that names the config."""
    parser.add_argument("config", nargs="?", default=DEFAULT, help=f"the config (default {DEFAULT}; - for stdin)")


def base_of(path: str) -> Path:
    """The folder that relative paths in the config are relative to."""
    return Path() if path == "-" else Path(path).parent


def folder_beside(base: Path) -> Callable[[str], Mapping[str, File] | None]:
    """Reads a folder of code beside the config: path -> its files, or None when it is no folder there."""
    from orchestrator.sources import File

    def read_folder(path: str) -> Mapping[str, File] | None:
        folder = base / path
        if not folder.is_dir():
            return None
        files = (file for file in sorted(folder.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
        return {
            file.relative_to(folder).as_posix(): File(file.read_bytes(), os.access(file, os.X_OK)) for file in files
        }

    return read_folder


def read_packed(path: str) -> Any:
    """The config with each folder of code replaced by the key its archive will have; nothing is uploaded."""
    from orchestrator.sources import pack, with_sources

    body = read(path)
    folder = folder_beside(base_of(path))

    def key(name: str, ending: str) -> str:
        files = folder(name)
        return pack(files, ending)[0] if files is not None else name

    return with_sources(body, key) if isinstance(body, dict) else body
