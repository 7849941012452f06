"""``docs/gates.md``: the figures of a run, beside those of the product this one replaces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.gates.audit import forms, with_wildcards
from tests.gates.findings import Finding
from tests.gates.policies import statements
from tests.gates.subjects import Subject

OLD: Sequence[tuple[str, str]] = (
    ("cfn-lint, warnings", "99"),
    ("cloudformation-validate, warnings", "81"),
    ("checkov, failed", "146"),
    ("cdk-nag AwsSolutions, wildcards in actions", "89"),
    ("cdk-nag AwsSolutions, wildcards in resources", "292"),
    ("cdk-nag AwsSolutions, the other rules", "59"),
    ("cdk-nag NIST 800-53 r5", "227"),
    ("cdk-nag Serverless", "105"),
    ("Allow statements with resource `*`", "35"),
    ("administrator roles", "1"),
    ("PassRole without PassedToService", "12 of 18"),
    ("parameters of any text in policies", "58"),
    ("templates that differ from run to run", "8 of 14"),
    ("suppressions", "180"),
)
"""MLOps Workload Orchestrator v2.2.3: 14 templates, the same versions of the tools."""


def page(
    given: Sequence[Subject],
    findings: Sequence[Finding],
    left: Sequence[Finding],
    entries: Sequence[Mapping[str, Any]],
    killed: Mapping[str, set[str]],
) -> str:
    """The whole page."""
    values = _values(given, findings, left)
    lines = [
        "# Gates",
        "",
        "What linters, validators and an IAM audit say of the launch templates and of what every example is rendered",
        "to, in one account and in several. `make gates` runs them; `python -m tests.gates --write` writes this",
        f"page. {len(given)} different templates of ours stand beside 14 of the product this one replaces.",
        "",
        "| | old product | here |",
        "|---|---|---|",
        *(f"| {name} | {old} | {values[name]} |" for name, old in OLD),
        "",
        "`a + b`: a that nobody has answered, b that are acknowledged below.",
        "",
        "## Acknowledged",
        "",
        "| tool | rule | findings | why |",
        "|---|---|---|---|",
    ]
    for entry in entries:
        rule = str(entry["rule"]).replace("|", "\\|")
        lines.append(f"| {entry['tool']} | `{rule}` | {entry['findings']} | {' '.join(entry['reason'].split())} |")
    used = _used(given)
    lines += [
        "",
        "## Wildcards in resources",
        "",
        "No action has a wildcard. A resource has one in these forms only (partition, region and accounts are",
        "examples, `VALUE` is filled in by a parameter); the audit fails on any other, and on a form that nothing has.",
        "",
        "| form | statements | why |",
        "|---|---|---|",
    ]
    for form in forms():
        written = form["form"].replace("|", "\\|")
        lines.append(f"| `{written}` | {used[form['form']]} | {form['reason']} |")
    caught = sum(bool(by) for by in killed.values())
    alone = Counter(next(iter(by)) for by in killed.values() if len(by) == 1)
    every = Counter(tool for by in killed.values() for tool in by)
    lines += [
        "",
        "## Seeded defects",
        "",
        f"{caught} of {len(killed)} mistakes, put into our templates one at a time, are caught.",
        "",
        "| gate | catches | alone |",
        "|---|---|---|",
        *(f"| {tool} | {count} | {alone[tool]} |" for tool, count in every.most_common()),
        "",
        "| defect | caught by |",
        "|---|---|",
        *(f"| {name} | {', '.join(sorted(by)) or '**nothing**'} |" for name, by in killed.items()),
    ]
    return "\n".join(lines) + "\n"


def _values(given: Sequence[Subject], findings: Sequence[Finding], left: Sequence[Finding]) -> dict[str, str]:
    def count(tool: str, rule: str = ".*") -> str:
        everything = sum(each.tool == tool and bool(re.fullmatch(rule, each.rule)) for each in findings)
        unanswered = sum(each.tool == tool and bool(re.fullmatch(rule, each.rule)) for each in left)
        return f"{unanswered} + {everything - unanswered}" if everything else "0"

    allowed = [each for subject in given for each in statements(subject.template) if each.effect == "Allow"]
    stars = sum(each.kind == "identity" and "*" in each.resources for each in allowed)
    passing = [each for each in allowed if "iam:PassRole" in each.actions and each.kind == "identity"]
    loose = sum(each.rule == "IAM-PASSROLE" for each in findings)
    return {
        "cfn-lint, warnings": count("cfn-lint"),
        "cloudformation-validate, warnings": count("cloudformation-validate"),
        "checkov, failed": count("checkov"),
        "cdk-nag AwsSolutions, wildcards in actions": count("cdk-nag", r"AwsSolutions-IAM5\[Action.*"),
        "cdk-nag AwsSolutions, wildcards in resources": count("cdk-nag", r"AwsSolutions-IAM5\[Resource.*"),
        "cdk-nag AwsSolutions, the other rules": count("cdk-nag", "AwsSolutions-(?!IAM5).*"),
        "cdk-nag NIST 800-53 r5": count("cdk-nag", "NIST.*"),
        "cdk-nag Serverless": count("cdk-nag", "Serverless.*"),
        "Allow statements with resource `*`": f"{stars}, all for actions without a resource level or with a condition",
        "administrator roles": str(sum(each.rule == "IAM-ADMIN" for each in findings)),
        "PassRole without PassedToService": f"{loose} of {len(passing)}",
        "parameters of any text in policies": str(sum(each.rule == "IAM-PARAMETER" for each in findings)),
        "templates that differ from run to run": "0 (tests compare bytes)",
        "suppressions": f"{len(_skipped(given))} in the launch templates (checkov), each with its reason",
    }


def _skipped(given: Sequence[Subject]) -> set[tuple[str, str]]:
    """(resource, check) that resources ask checkov to leave out; the launch templates share most resources."""
    return {
        (name, skip["id"])
        for subject in given
        for name, resource in subject.template["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }


def _used(given: Sequence[Subject]) -> Counter[str]:
    """Form of a wildcard -> in how many resources of statements it stands."""
    return Counter(form["form"] for subject in given for _, _, form in with_wildcards(subject) if form)
