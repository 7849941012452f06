"""The second half of ``docs/security.md``: every role with its statements and their reasons.

    python -m tests.permissions.security_page            # says whether the page is what it should be
    python -m tests.permissions.security_page --write    # writes it

The first half is written by hand; what stands below the mark is written anew.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tests.blueprints.walking import ROOT
from tests.permissions.statements import (
    INTEGRATION,
    LAUNCHED,
    PIPELINE,
    Document,
    Held,
    Key,
    Owner,
    actions,
    everything,
    keys_of,
    look_up,
    reason,
    reasons_of_launch,
    said,
    written,
)

PAGE = ROOT / "docs" / "security.md"
MARK = "<!-- Below here everything is written by `python -m tests.permissions.security_page --write`. -->\n"
ROLE = "AWS::IAM::Role"
INTRODUCTION = """
## Every role and its statements

An ARN is written as `service:resource` where partition, region and account are the stack's own; `${Name}` is a
parameter or resource of the template. *Only if* is the statement's condition. Every role that a pipeline makes is under
`Boundary`; the roles of the launch templates can be put under a boundary of your own (`PermissionsBoundaryArn`).
"""
HEADINGS = {
    (LAUNCHED, True): "### Roles of the launch templates\n",
    (LAUNCHED, False): "### Policies of the launch templates' resources, and the boundary\n",
    (INTEGRATION, True): "### Roles of continuous integration\n",
    (PIPELINE, True): "### The CodePipeline of a project\n",
}
BLUEPRINTS = "### Blueprints\n"
NAMED = (LAUNCHED, INTEGRATION, PIPELINE)


# ---- a statement in words ----


def text_of(value: Any) -> str:
    """A value of a template as people read it."""
    if not isinstance(value, dict):
        return str(value)
    if len(value) != 1:
        return json.dumps(value, sort_keys=True)
    ((function, argument),) = value.items()
    if function == "Ref":
        return f"${{{argument}}}"
    if function == "Fn::GetAtt":
        logical, name = argument if isinstance(argument, list) else argument.split(".", 1)
        return "${" + (logical if name == "Arn" else f"{logical}.{name}") + "}"
    if function == "Fn::Sub":
        text, given = (argument, {}) if isinstance(argument, str) else argument
        return re.sub(r"\$\{(\w+)\}", lambda match: text_of(given.get(match[1], match[0])), str(text))
    if function == "Fn::Join":
        return str(argument[0]).join(text_of(each) for each in as_list(argument[1]))
    if function == "Fn::If":
        return f"({text_of(argument[1])} or {text_of(argument[2])})"
    if function in ("Fn::Select", "Fn::Split"):  # a part of a text stands for the part
        return text_of(argument[1])
    return json.dumps(value, sort_keys=True)


def several(value: Any) -> Iterator[Any]:
    """A value that is or becomes a list, one by one: both sides of ``Fn::If``, the parts of ``Fn::Split``."""
    if isinstance(value, list):
        for each in value:
            yield from several(each)
    elif isinstance(value, dict) and set(value) == {"Fn::If"}:
        yield from several(value["Fn::If"][1:])
    elif isinstance(value, dict) and set(value) == {"Fn::Split"}:
        separator, whole = value["Fn::Split"]
        for each in several(whole):
            yield from text_of(each).split(separator)
    elif value != {"Ref": "AWS::NoValue"}:
        yield value


def arn_of(value: Any) -> str:
    """A resource, without what is the stack's own."""
    text = text_of(value).replace("arn:${AWS::Partition}:", "arn:aws:")
    text = re.sub(r"^arn:aws:([a-z0-9-]+):(\$\{AWS::Region\})?:\$\{AWS::AccountId\}:", r"\1:", text)
    text = re.sub(r"^arn:aws:s3:::", "s3:", text)
    return text.replace("arn:aws:", "", 1) if text.startswith("arn:aws:") else text


def as_list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def quoted(texts: Iterable[str]) -> str:
    """Texts as code, each once; ``|`` would end the cell of a table."""
    return ", ".join(f"`{text}`".replace("|", "\\|") for text in dict.fromkeys(texts))


def what(forms: list[Document]) -> str:
    """The actions, by service."""
    services: dict[str, list[str]] = {}
    for action in (each for form in forms for each in actions(form)):
        service, _, verb = action.partition(":")
        services.setdefault(service, []).append(verb)
    never = "**never** " if forms[0]["Effect"] == "Deny" else ""
    return never + "; ".join(f"{service}: {', '.join(dict.fromkeys(verbs))}" for service, verbs in services.items())


def conditions(form: Document) -> Iterator[str]:
    """The conditions of a statement, one text for each."""
    words = {"ArnLike": "like", "StringLike": "like", "StringEqualsIfExists": "(if it is told) ="}
    for operator, each in form.get("Condition", {}).items():
        for key, value in each.items():
            wanted = dict.fromkeys(arn_of(one) for one in several(value))
            yield f"{key} {words.get(operator, '=')} {' or '.join(wanted)}"


def on(forms: list[Document]) -> str:
    """The resources, and the conditions."""
    named = quoted(arn_of(each) for form in forms for each in as_list(form.get("Resource", [])))
    who = quoted(principal for form in forms for principal in principals(form))
    only = quoted(each for form in forms for each in conditions(form))
    parts = [named, f"for {who}" if who else "", f"*only if* {only}" if only else ""]
    return " ".join(part for part in parts if part)


def principals(form: Document) -> Iterator[str]:
    """Whom a statement is for, or who may take a role."""
    given = form.get("Principal", {})
    for value in as_list(given) if not isinstance(given, dict) else given.values():
        for each in (arn_of(one) for one in several(value)):
            yield each.replace("iam:root", "this account").removeprefix("iam::").replace(":root", "")


def taker(form: Document) -> str:
    """The key of ``taken_by`` for a trust: the service, the identity provider or the hub."""
    principal = form["Principal"]
    return "the identity provider" if "Federated" in principal else str(principal.get("Service", "the hub"))


# ---- the page ----


def section(held: Held, names: list[Owner]) -> str:
    """One owner, or several that hold the same, with a table of the statements."""
    kinds = sorted({owner.within for owner in names} - set(NAMED))
    where = f" of {', '.join(kinds)}" if kinds else f" in {', '.join(sorted(held.templates))}" if held.templates else ""
    lines = [f"#### `{held.owner.name}`{where}\n"]
    if held.description:
        lines.append(f"{held.description}\n")
    for form in held.trust:
        only = quoted(conditions(form))
        lines.append(f"Taken by {quoted(principals(form))}{f', *only if* {only}' if only else ''}. {taken(form)}\n")
    if held.shared:
        lines.append(f"It also has the policies {quoted(sorted(held.shared))} of the launch templates.\n")
    lines.append("| statement | may | on | because |\n|---|---|---|---|")
    for sid, forms in held.sids().items():
        lines.append(f"| {sid} | {what(forms)} | {on(forms)} | {reason(held.owner, forms[0])} |")
    return "\n".join(lines) + "\n"


def taken(form: Document) -> str:
    """Why a role may be taken."""
    return look_up(("taken_by", taker(form)))


def sections(all_held: list[Held]) -> Iterator[str]:
    """Headings and sections; owners of blueprints that hold the same stand together."""
    alike: dict[str, list[Owner]] = {}
    for held in all_held:
        alike.setdefault(section(held, []), []).append(held.owner)
    heading = ""
    for held in sorted(all_held, key=lambda held: held.owner.within == LAUNCHED and held.kind != ROLE):
        names = alike.pop(section(held, []), None)
        if names is None:
            continue
        wanted = HEADINGS.get((held.owner.within, held.kind == ROLE), BLUEPRINTS)
        if wanted != heading:
            heading = wanted
            yield heading
        yield section(held, names)


def generated(all_held: list[Held]) -> str:
    """All that stands below the mark."""
    return "\n".join([INTRODUCTION, *sections(all_held)])


def page(all_held: list[Held]) -> str:
    """The whole page: what people wrote, and what is generated."""
    return PAGE.read_text().partition(MARK)[0] + MARK + generated(all_held)


# ---- what is wrong ----


def without_reason(all_held: list[Held]) -> list[str]:
    """Statements that nobody gives a reason for, and who may take a role without one."""
    return [
        f"{held.owner.within}/{held.owner.name}/{sid}"
        for held in all_held
        for sid, forms in held.sids().items()
        if not all(reason(held.owner, form) for form in forms)
    ] + [f"{held.owner.name} taken by {taker(form)}" for held in all_held for form in held.trust if not taken(form)]


def idle_reasons(all_held: list[Held]) -> list[str]:
    """Reasons that no statement has."""
    used: set[Key] = {("taken_by", taker(form)) for held in all_held for form in held.trust}
    spoken: set[str] = set()
    for held in all_held:
        for sid, forms in held.sids().items():
            if held.owner.within == LAUNCHED:
                spoken |= {text for form in forms for text in reasons_of_launch(form)}
            else:
                used |= set([key for key in keys_of(held.owner, sid) if look_up(key)][:1])
    unsaid = [f"orchestrator/infra/rights: {one.sid}: {one.reason}" for one in said() if one.reason not in spoken]
    return unsaid + ["/".join(key) for key in _leaves(written(), ()) if key not in used]


def _leaves(node: Any, above: Key) -> Iterator[Key]:
    if not isinstance(node, dict):
        yield above
        return
    for name, inside in node.items():
        yield from _leaves(inside, (*above, name))


def main(argv: list[str] | None = None) -> int:
    """Say what is wrong, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args(argv)
    held = everything()
    wrong = [f"no reason: {one}" for one in without_reason(held)] + [
        f"no statement: {one}" for one in idle_reasons(held)
    ]
    wanted = page(held)
    if arguments.write:
        PAGE.write_text(wanted)
    elif PAGE.read_text() != wanted:
        wrong.append(f"{PAGE.relative_to(ROOT)} is not what it should be: run with --write")
    print(
        "\n".join(wrong)
        or f"{sum(len(one.sids()) for one in held)} statements of {len(held)} owners, each with a reason"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
