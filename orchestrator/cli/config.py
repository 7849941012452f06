"""The config a command works on: found, read, its source folders packed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.errors import BadRequest, NotFound

DEFAULT = "mlops-config.json"


def read(path: str) -> Any:
    """The JSON document in the file; ``-`` reads standard input.

    Raises NotFound when there is no such file and BadRequest, with line and column, when it is not JSON.
    """
    import sys

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(
            f"There is no config {path}.", hint="Name a file, or write one with `mlops init`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{path} is not JSON: {error}", hint="Check the place it names.") from error


def add_argument(parser: Any) -> None:
    """The argument that names the config."""
    parser.add_argument("config", nargs="?", default=DEFAULT, help=f"the config (default {DEFAULT}; - for stdin)")
