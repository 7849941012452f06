"""How things are measured: CPU seconds and peak memory of a fresh process, the best of several rounds.

Peers that need other versions of packages than ours run in environments of their own, made on request.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUIET = {"DO_NOT_TRACK": "1", "WHYLOGS_NO_ANALYTICS": "True"}
"""Peers tell nobody that they were measured."""

PROBE = """
import json, resource, sys, time
exec(compile(sys.argv[1], "<probe>", "exec"))
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}))
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a table: ``value`` beside ``limit`` (the figure holds while value <= limit; None: no limit)."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value is within its limit."""
        return self.limit is None or self.value <= self.limit


def process(code: str, rounds: int = 5, python: str = sys.executable) -> dict[str, float]:
    """CPU seconds and peak memory (MiB) of a fresh interpreter that runs the code: the least of the rounds."""
    results = []
    environment = os.environ | QUIET | ({} if python == sys.executable else {"PYTHONPATH": str(ROOT)})
    for _ in range(rounds):
        done = subprocess.run(
            [python, "-c", PROBE, code], capture_output=True, text=True, check=False, env=environment
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{python} failed:\n{done.stderr[-2000:]}")
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: min(result[name] for result in results) for name in results[0]}


def environment(name: str, requirements: Sequence[str]) -> str:
    """The interpreter of a virtual environment with these packages; made in the temp folder, and used again."""
    key = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"mlops-bench-{name}-{key}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)
        complete.touch()
    return str(python)


def markdown(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | value | limit | |", "|---|---|---|---|"]
    for figure in figures:
        limit = "" if figure.limit is None else f"≤ {figure.limit:g}{'' if figure.holds else ' **missed**'}"
        lines.append(f"| {figure.name} | {figure.value:.3g} {figure.unit} | {limit} | {figure.note} |")
    return "\n".join(lines)
