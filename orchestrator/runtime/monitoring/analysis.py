"""The three things a monitor does: make a baseline, analyse a window beside it, and write what came of it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.runtime.monitoring import documents
from orchestrator.runtime.monitoring.checks import Checks
from orchestrator.runtime.monitoring.columns import Kind, Kinds
from orchestrator.runtime.monitoring.evidence import Evidence
from orchestrator.runtime.monitoring.failures import InputUnreadable, OutputExists
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.profile import Profile
from orchestrator.runtime.monitoring.reading import Source

STATISTICS = "statistics.json"
CONSTRAINTS = "constraints.json"
VIOLATIONS = "constraint_violations.json"
FINDINGS = "findings.json"
REPORT = "report.html"
KINDS = {"Integral": Kind.NUMBER, "Fractional": Kind.NUMBER, "String": Kind.TEXT}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a baseline is: statistics, constraints, and what was noticed while reading."""

    statistics: Document
    constraints: Document
    findings: list[Document]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What came of a window; ``checks`` has all comparisons, also those without violations."""

    statistics: Document
    violations: Document
    checks: Checks


def make_baseline(source: Source) -> Baseline:
    """Read the data once. Raises a MonitoringError when it cannot be read."""
    profile = Profile()
    for batch in source.batches():
        profile.update(batch)
    return Baseline(documents.statistics(profile), documents.constraints(profile), source.findings.as_list())


def analyze(source: Source, statistics: Mapping[str, Any], constraints: Mapping[str, Any], policy: Policy) -> Analysis:
    """Read the window once and compare it with the baseline's documents. Raises a MonitoringError."""
    baseline = documents.features(statistics, STATISTICS)
    rules = _rules(constraints)
    rules = {name: rule for name, rule in rules.items() if name not in source.ignore}
    source.kinds = Kinds({name: KINDS[kind] for name, rule in rules.items()
                          if (kind := str(rule.get("inferred_type"))) in KINDS})  # fmt: skip
    if source.names is None:
        source.names = list(rules)
    profile, evidence = Profile(), Evidence(rules)
    for batch in source.batches():
        profile.update(batch)
        evidence.observe(batch)
    settings = constraints.get("monitoring_config") or documents.monitoring_config()
    checks = Checks(baseline, documents.profiled(profile), rules, settings, profile.rows, policy, evidence)
    checks.run()
    return Analysis(documents.statistics(profile), _violations(checks, source, statistics), checks)


def _rules(constraints: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    try:
        return {str(each["name"]): each for each in constraints["features"]}
    except (KeyError, TypeError) as error:
        raise InputUnreadable(f"{CONSTRAINTS} is no constraints document: {error!r}.") from error


def _violations(checks: Checks, source: Source, statistics: Mapping[str, Any]) -> Document:
    """Model Monitor's document, with what was tested and noticed beside the violations."""
    return {
        "version": 0.0,
        "violations": checks.violations,
        "summary": {
            "status": "CompletedWithViolations" if checks.violations else "Completed",
            "rows": {"baseline": (statistics.get("dataset") or {}).get("item_count"), "observed": checks.rows},
            "features": {"baseline": len(checks.constraints), "observed": len(checks.observed)},
            "tests": checks.tests,
            "policy": checks.policy.as_dict(),
            "not_tested": list(checks.not_tested()),
        },
        "findings": source.findings.as_list(),
    }


def write(folder: Path, files: Mapping[str, Any], *, replace: bool = False) -> list[Path]:
    """Write documents (texts as they are, others as JSON) into the folder, each at once or not at all.

    Raises OutputExists, before anything is written, when one is there already and ``replace`` is not set.
    """
    paths = {folder / name: content for name, content in files.items()}
    there = [str(path) for path in paths if path.exists()]
    if there and not replace:
        raise OutputExists(f"{', '.join(there)} would be overwritten.", hint="Name another folder, or say --replace.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in paths.items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, allow_nan=False)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    return list(paths)
