"""Every gate over every template: ``python -m tests.gates`` (``make gates``).

It fails when a tool says something that is not acknowledged, when an acknowledgement is needed no more, or when too few
of the seeded defects are caught. ``--write`` writes ``docs/gates.md``; that the page is stale is told.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.blueprints.walking import ROOT
from tests.gates import tools
from tests.gates.audit import audit, forms, with_wildcards
from tests.gates.defects import DEFECTS, caught
from tests.gates.findings import Finding
from tests.gates.page import page
from tests.gates.subjects import Subject, subjects

PAGE = ROOT / "docs" / "gates.md"
ACKNOWLEDGED = Path(__file__).parent / "acknowledged.yaml"
LEAST_CAUGHT = 0.96


def iam_audit(given: Sequence[Subject]) -> list[Finding]:
    """The IAM audit of every template."""
    return [finding for subject in given for finding in audit(subject)]


Tool = Callable[[Sequence[Subject]], list[Finding]]
ONE_BY_ONE: Sequence[Tool] = (tools.cfn_lint, tools.cloudformation_validator, iam_audit)
AT_ONCE: Sequence[Tool] = (tools.checkov,)
MORE: Sequence[Tool] = (tools.cdk_nag, tools.bandit)
"""Tools that are too slow, or look at other things than templates: the seeded defects go without them."""


def findings_of(given: Sequence[Subject], pool: Executor, *more: Tool, progress: bool = False) -> list[Finding]:
    """What the tools say of the templates; those that look at one after the other share them out."""
    parts = os.cpu_count() or 1
    began = time.time()
    running = {tool: [pool.submit(tool, given)] for tool in (*AT_ONCE, *more)}
    running |= {tool: [pool.submit(tool, given[part::parts]) for part in range(parts)] for tool in ONE_BY_ONE}
    found = []
    for tool, tasks in running.items():
        said = [finding for task in tasks for finding in task.result()]
        if progress:
            print(f"  {tool.__name__:26} {len(said):4} findings  {time.time() - began:5.0f} s", flush=True)
        found += said
    return found


def acknowledged(findings: Sequence[Finding]) -> tuple[list[Finding], list[dict[str, Any]]]:
    """The findings that nobody has answered, and the acknowledgements with how many findings each answers."""
    entries = [{**each, "findings": 0} for each in yaml.safe_load(ACKNOWLEDGED.read_text())]
    left = []
    for finding in findings:
        for entry in entries:
            fits = re.fullmatch(entry["rule"], finding.rule) and re.fullmatch(
                entry.get("subject", ".*"), finding.subject
            )
            if entry["tool"] == finding.tool and fits:
                entry["findings"] += 1
                break
        else:
            left.append(finding)
    return left, entries


def kills(given: Sequence[Subject], base: Sequence[Finding], pool: Executor) -> dict[str, set[str]]:
    """Defect -> the gates that catch it."""
    by_name = {subject.name: subject for subject in given}
    seeded = {defect.name: defect.seeded(by_name) for defect in DEFECTS}
    found = findings_of(list(seeded.values()), pool)
    return {each.name: caught(base, found, each.subject, seeded[each.name].name) for each in DEFECTS}


def main(argv: list[str] | None = None) -> int:
    """Run the gates; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.gates", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/gates.md")
    arguments = parser.parse_args(argv)
    given = subjects()
    print(f"{len(given)} templates", flush=True)
    with ProcessPoolExecutor() as pool:
        base = findings_of(given, pool, *MORE, progress=True)
        killed = kills(given, base, pool)
    left, entries = acknowledged(base)
    survivors = [name for name, by in killed.items() if not by]
    print(f"  {len(killed) - len(survivors)} of {len(killed)} seeded defects caught", flush=True)
    text = page(given, base, left, entries, killed)
    if arguments.write:
        PAGE.write_text(text)
    problems = [f"not acknowledged: {finding}" for finding in left]
    problems += [
        f"acknowledged, and nothing says it: {entry['tool']} {entry['rule']}"
        for entry in entries
        if not entry["findings"]
    ]
    in_use = {form["form"] for subject in given for _, _, form in with_wildcards(subject) if form}
    problems += [f"a form of wildcards that nothing has: {one['form']}" for one in forms() if one["form"] not in in_use]
    if len(killed) - len(survivors) < LEAST_CAUGHT * len(killed):
        problems.append(f"too many defects pass: {', '.join(survivors)}")
    if not PAGE.exists() or PAGE.read_text() != text:  # another version of a tool may count otherwise
        print(f"{PAGE.relative_to(ROOT)} says otherwise; python -m tests.gates --write writes it anew")
    for problem, count in Counter(problems).items():
        print(problem + (f" ({count} times)" if count > 1 else ""))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
