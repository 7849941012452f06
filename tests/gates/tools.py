"""The tools: each takes templates and gives findings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cloudformation_validate
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.core import get_rules
from cfnlint.rules import RulesCollection

from tests.blueprints.walking import ROOT
from tests.gates.defaults import never_default
from tests.gates.findings import Finding
from tests.gates.subjects import Subject

REGIONS = ["us-east-1", "eu-west-1"]
CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
SAMPLES = Path(__file__).parent / "sample_parameters.yaml"
OF_A_DEFAULT = re.compile(r"\{'Ref': '(\w+)'\} (?:default|AllowedValues entry) '(?:|0)' ")
RULES = Path(__file__).parent / "lint_rules"


def cfn_lint(subjects: Sequence[Subject]) -> list[Finding]:
    """cfn-lint with its own rules and ours; informational ones are left out."""
    found = []
    options = ManualArgs(regions=REGIONS)
    for subject in subjects:
        for match in lint(subject.text, rules=_rules(), config=options):
            place = ".".join(map(str, (match.path or [])[1:5])) if hasattr(match, "path") else ""
            tool = "own rules" if match.rule.id.startswith("E98") else "cfn-lint"
            found.append(Finding(tool, match.rule.id, subject.name, place, match.message))
    return found


@cache
def _rules() -> RulesCollection:
    """cfn-lint's rules and ours, loaded once."""
    return get_rules([str(RULES)], [], ["E", "W"])


@cache
def _engine() -> Any:
    return cloudformation_validate.CelEngine()


def cloudformation_validator(subjects: Sequence[Subject]) -> list[Finding]:
    """AWS's validator: what it calls a warning or worse.

    Every template is looked at with values for the parameters that may be left out; that their empty defaults reach
    no property is shown apart, because the validator looks at both branches of every condition.
    """
    found = []
    for subject in subjects:
        found += _validated(subject, _samples(subject))
        for each in _validated(subject, {}):
            named = OF_A_DEFAULT.match(each.message) if each.rule == "W1030" else None
            if named and not never_default(subject.template, named[1], each.place):
                found.append(each)
    return found


def _samples(subject: Subject) -> dict[str, str]:
    """Values for the parameters of a template that have an empty default."""
    declared = subject.template.get("Parameters", {})
    optional = {name for name, rule in declared.items() if str(rule.get("Default", "x")) in ("", "0")}
    return {name: value for name, value in yaml.safe_load(SAMPLES.read_text()).items() if name in optional}


def _validated(subject: Subject, values: dict[str, str]) -> list[Finding]:
    config = cloudformation_validate.ValidateConfig(parameter_overrides=values)
    least = cloudformation_validate.Severity.WARN.value
    return [
        Finding(
            "cloudformation-validate",
            each.rule_id,
            subject.name,
            each.entity.logical_id if each.entity else "",
            each.message,
        )
        for each in _engine().validate_template(subject.text.encode(), config).diagnostics
        if each.severity.value >= least
    ]


def checkov(subjects: Sequence[Subject]) -> list[Finding]:
    """checkov, in the environment it has for itself: policies of CloudFormation, and secrets."""
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            subject.write(Path(folder))
        command = [str(CHECKOV), "-d", folder, "--framework", "cloudformation", "--framework", "secrets", "-o", "json"]
        done = subprocess.run(
            [*command, "--skip-download", "--quiet", "--compact"], capture_output=True, text=True, check=False
        )
    try:
        reports = json.loads(done.stdout)
    except ValueError as error:
        raise RuntimeError(f"checkov gave no report: {done.stderr[-2000:]}") from error
    found = []
    for report in reports if isinstance(reports, list) else [reports]:
        for each in report.get("results", {}).get("failed_checks", []):
            name = Path(each["file_path"]).stem
            found.append(Finding("checkov", each["check_id"], name, each["resource"], each["check_name"]))
    return found


def cdk_nag(subjects: Sequence[Subject]) -> list[Finding]:
    """cdk-nag's packs AwsSolutions, NIST 800-53 r5 and Serverless, on the templates as they are."""
    quiet = {"CDK_VALIDATION": "false", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"}
    with tempfile.TemporaryDirectory() as folder:
        for subject in subjects:
            subject.write(Path(folder))
        subprocess.run(
            [sys.executable, "-m", "tests.gates.nag", folder],
            env={**os.environ, **quiet},
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        report = Path(folder, "out", "validation-report.json")
        documents = json.loads(report.read_text())["pluginReports"] if report.exists() else []
        if not documents:
            raise RuntimeError("cdk-nag gave no report")
    names = {subject.name.replace("_", "-").replace(".", "-"): subject.name for subject in subjects}
    return [
        Finding(
            "cdk-nag",
            violation["ruleName"],
            names[construct["constructPath"].split("/")[0]],
            construct["constructPath"].split("/")[-1],
            violation["description"],
        )
        for plugin in documents
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]


def bandit(_: Sequence[Subject]) -> list[Finding]:
    """bandit over what ships, not over templates.

    Low findings are left out, and those that the line itself answers (``noqa: S...``).
    """
    folders = ["orchestrator", "blueprints", "pipelines"]
    command = [sys.executable, "-m", "bandit", "-q", "-r", *folders, "-f", "json", "-ll"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    results = json.loads(done.stdout[done.stdout.index("{") :])["results"]
    return [
        Finding("bandit", each["test_id"], each["filename"], str(each["line_number"]), each["issue_text"])
        for each in results
        if f"noqa: S{each['test_id'][1:]}" not in _line(each["filename"], each["line_number"])
    ]


def _line(file: str, number: int) -> str:
    return (ROOT / file).read_text().splitlines()[number - 1]
