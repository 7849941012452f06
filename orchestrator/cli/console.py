"""What the user sees: data on standard output, talk on standard error, colour only for people."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigInvalid, OrchestratorError, Problem

COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}
STATE_COLOURS = {
    "Succeeded": "green",
    "InService": "green",
    "Approved": "green",
    "InProgress": "blue",
    "Failed": "red",
    "Rejected": "red",
    "Stopped": "yellow",
    "Waiting": "yellow",
}


def command() -> str:
    """How the user can call ``mlops`` from here: by its name if it is on the PATH, else by its place."""
    called = Path(sys.argv[0])
    found = shutil.which("mlops")
    if called.name != "mlops" or (found and Path(found).resolve() == called.resolve()):
        return "mlops"
    return os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called)


class Console:
    """Prints for a person, or JSON for a program (``--json``)."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def say(self, text: str = "") -> None:
        """Talk: progress and advice, on standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def step(self, text: str) -> None:
        """A heading of the talk."""
        self.say(paint(f"▸ {text}", "bold", sys.stderr))

    def data(self, document: Any, text: str | None = None) -> None:
        """The result: ``text`` for a person (the document as indented JSON if there is none), JSON for a program."""
        if self.as_json or text is None:
            print(json.dumps(document, indent=None if self.as_json else 2, default=str), flush=True)
        else:
            print(text, flush=True)

    def error(self, error: OrchestratorError) -> None:
        """What happened, why, and the next command."""
        if self.as_json:
            print(json.dumps(error.as_dict(), default=str), flush=True)
            return
        print(paint(f"{error.title}.", "red", sys.stderr), error.message, file=sys.stderr)
        if isinstance(error, ConfigInvalid):
            print(problems_text(error.problems), file=sys.stderr)
        if error.hint:
            print(f"{paint('Next:', 'bold', sys.stderr)} {error.hint}", file=sys.stderr)


def paint(text: str, colour: str, stream: Any = None) -> str:
    """The text in a colour, when the stream is a terminal and NO_COLOR is not set."""
    stream = stream or sys.stdout
    if colour not in COLOURS or "NO_COLOR" in os.environ or not stream.isatty():
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def problems_text(problems: Sequence[Problem]) -> str:
    """All problems of a config, each with its path, value, what is allowed and the fix."""
    lines = []
    for number, problem in enumerate(problems, 1):
        lines.append(f"\n{number:3}. {paint(problem.path, 'bold', sys.stderr)}: {problem.message}")
        if problem.value is not None:
            shown = json.dumps(problem.value, default=str)
            lines.append(f"     found:   {shown if len(shown) <= 100 else shown[:97] + '...'}")
        if problem.allowed:
            lines.append(f"     allowed: {problem.allowed}")
        if problem.fix:
            lines.append(f"     fix:     {problem.fix}")
    return "\n".join(lines) + "\n"


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A plain table with aligned columns; states in colour on a terminal."""
    cells = [[str(row.get(column, "") if row.get(column) is not None else "") for column in columns] for row in rows]
    widths = [max([len(column), *(len(row[i]) for row in cells)]) for i, column in enumerate(columns)]
    lines = [
        "  ".join(paint(column.upper().ljust(width), "dim") for column, width in zip(columns, widths, strict=True))
    ]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(paint(text, STATE_COLOURS.get(text.strip(), "")) for text in padded).rstrip())
    return "\n".join(lines)
