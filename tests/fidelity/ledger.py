"""The fidelity ledger: for everything of AWS that the product uses, how it was proven; ``docs/fidelity.md``.

The suite leaves its evidence in ``build/evidence.json`` (``tests/conftest.py``). ``python -m tests.fidelity.ledger``
compares it with the committed page and fails when anything proves less than it did; ``--write`` writes the page.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.local.protocol.models import service_model
from tests.blueprints.walking import ROOT
from tests.fidelity.used import uses

PAGE = ROOT / "docs" / "fidelity.md"
EVIDENCE = ROOT / "build" / "evidence.json"
HERE = Path(__file__).parent
LEVELS = ("unproven", "schema", "kept", "executed")
MEANING = {
    "executed": "It ran in the embedded AWS and did its work there.",
    "kept": "It was asked for in the embedded AWS, checked against AWS's model of the request, kept, and answered for; "
    "nothing more happens there.",
    "schema": "AWS's own schema or model of the service knows it as we use it (cfn-lint, botocore); it never ran.",
    "unproven": "Nothing here can show it.",
}
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \|")
SIGNING = {"stepfunctions": "states", "cloudwatch": "monitoring"}
"""Services whose requests are signed with another name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that the product uses."""

    group: str
    name: str
    level: str
    by: tuple[str, ...]


def rows(evidence: Mapping[str, list[str]]) -> list[Row]:
    """The ledger that the evidence gives."""
    behaves = _settings()["behaves"]
    done = {(group, name) for group, names in evidence.items() for name in names}
    return [
        Row(group, name, _level(group, name, done, behaves), tuple(parts)) for (group, name), parts in uses().items()
    ]


def _settings() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / "levels.yaml").read_text())
    return loaded


def _level(group: str, name: str, done: set[tuple[str, str]], behaves: Mapping[str, str]) -> str:
    service, _, rest = name.partition(":")
    if group == "API operations":
        signing = service_model(service).signing_name  # what the log of requests calls the service
        service = service if service in behaves else signing
        seen = {(group, f"{each}:{rest}") for each in (service, signing)} & done
    else:
        seen = {(group, name)} & done
    if not seen:
        return "schema"
    if group == "Resource types":
        service = name.split("::")[1].lower()
    if group in ("Resource types", "API operations"):
        return "executed" if SIGNING.get(service, service) in behaves else "kept"
    return "executed"


def page(ledger: list[Row]) -> str:
    """The page."""
    settings = _settings()
    counts = {level: sum(row.level == level for row in ledger) for level in LEVELS}
    lines = [
        "# Fidelity",
        "",
        "What the product uses of AWS, and how far the test suite proves it without AWS. This page is written from",
        "what the suite really did (`python -m tests.fidelity.ledger --write`); the suite fails when something proves",
        "less than it says. **Nothing on this page ran on AWS itself.**",
        "",
        "| level | things | what it means |",
        "|---|---|---|",
        *(f"| {level} | {counts[level]} | {MEANING[level]} |" for level in reversed(LEVELS)),
    ]
    for group in dict.fromkeys(row.group for row in ledger):
        lines += ["", f"## {group}", "", "| name | proof | used by |", "|---|---|---|"]
        lines += [f"| `{row.name}` | {row.level} | {', '.join(row.by)} |" for row in ledger if row.group == group]
    lines += ["", "## The services behind `executed`", "", "| service | what it really does |", "|---|---|"]
    lines += [f"| {service} | {what} |" for service, what in sorted(settings["behaves"].items())]
    for title, key in (("Accepted, without effect here", "without_effect"), ("Unproven", "unproven")):
        lines += ["", f"## {title}", "", "| what | why |", "|---|---|"]
        lines += [f"| {each['what']} | {each['why']} |" for each in settings[key]]
    return "\n".join(lines) + "\n"


def written(text: str) -> dict[tuple[str, str], str]:
    """(group, name) -> level, as a page says it."""
    found, group = {}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            group = line[3:]
        elif match := ROW.match(line):
            found[group, match[1]] = match[2]
    return found


def falls(before: Mapping[tuple[str, str], str], ledger: list[Row]) -> list[str]:
    """What proves less than the page says, and what the page does not know."""
    found = []
    for row in ledger:
        held = before.get((row.group, row.name))
        if held is None:
            found.append(f"{row.group}: {row.name} is used and not on the page (now: {row.level})")
        elif LEVELS.index(row.level) < LEVELS.index(held):
            found.append(f"{row.group}: {row.name} fell from {held} to {row.level}")
    return found


def main(argv: list[str] | None = None) -> int:
    """Compare or write; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fidelity.ledger", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/fidelity.md")
    arguments = parser.parse_args(argv)
    if not EVIDENCE.exists():
        print("There is no evidence: run the whole suite first (make test).", file=sys.stderr)
        return 2
    ledger = rows(json.loads(EVIDENCE.read_text()))
    if arguments.write:
        PAGE.write_text(page(ledger))
    found = falls(written(PAGE.read_text()) if PAGE.exists() else {}, ledger)
    print("\n".join(found) or f"fidelity: {len(ledger)} things of AWS, none proves less than docs/fidelity.md says")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
