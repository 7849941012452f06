"""How things are measured: CPU seconds and peak memory of a fresh process, the best of several rounds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

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


def process(code: str, rounds: int = 5) -> dict[str, float]:
    """CPU seconds and peak memory (MiB) of a fresh interpreter that runs the code: the least of the rounds."""
    results = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", PROBE, code], capture_output=True, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: min(result[name] for result in results) for name in results[0]}


def markdown(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = ["| figure | value | limit | |", "|---|---|---|---|"]
    for figure in figures:
        limit = "" if figure.limit is None else f"≤ {figure.limit:g}{'' if figure.holds else ' **missed**'}"
        lines.append(f"| {figure.name} | {figure.value:.3g} {figure.unit} | {limit} | {figure.note} |")
    return "\n".join(lines)
