"""Take the orchestrator itself away from AWS. Projects must be gone first; data stays and is listed.

Buckets, images, keys, logs and dead letters are never deleted by this: it says what stays and how it can be removed.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from orchestrator.cli import installing
from orchestrator.cli.console import Console
from orchestrator.errors import Conflict, NotFound, SettingsMissing

if TYPE_CHECKING:
    from orchestrator.aws import Aws
    from orchestrator.infra.removal import Removal

SUMMARY = "take the orchestrator itself away from AWS"
DECLINED = 1


def register(parser: argparse.ArgumentParser) -> None:
    installing.add_arguments(parser)
    parser.add_argument("--with-projects", action="store_true", help="delete every project and its endpoints first")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.aws import Aws
    from orchestrator.infra import removal

    site, checks = installing.site(arguments, console)
    if site is None:
        console.say(installing.checks_text(checks))
        raise SettingsMissing("Nothing was changed.", hint="See the lines with ✗.")
    others = tuple(sorted(set(site.accounts.sessions) - {site.accounts.hub}))
    wanted = removal.plan(site.accounts, others)
    if not wanted.stacks:
        raise NotFound("There is no installation here.", hint="`mlops doctor` says which account and region are meant.")
    aws = _door(site, Aws)
    known = _projects(aws) if aws else []
    if known and not arguments.with_projects:
        raise Conflict(
            f"There are still projects: {', '.join(known)}.",
            hint="Delete them (`mlops delete NAME`), or say --with-projects.",
        )
    console.say(removal_text(wanted, known))
    if not arguments.yes and input("Take this away? [y/N] ").strip().lower() != "y":
        console.say("Nothing was changed.")
        return DECLINED
    if aws:
        _delete_projects(aws, known, console)
    for account, stack in removal.remove(site.accounts, wanted):
        console.say(f"  removed  {stack} ({account})")
    left = [{"type": one.type, "name": one.name, "account": one.account} for one in wanted.leftovers]
    stacks = [{"account": account, "stack": stack} for account, stack in wanted.stacks]
    console.data({"removed": stacks, "left": left}, f"The orchestrator is gone; {len(left)} resources with data stay.")
    return 0


def _door(site: installing.Site, door: type[Aws]) -> Aws | None:
    """The door to the deployed orchestrator; None when its function never came up."""
    try:
        return door(site.target.settings(site.before.get("NamePrefix", "")), site.accounts.sessions[site.accounts.hub])
    except SettingsMissing:
        return None


def _projects(aws: Aws) -> list[str]:
    from orchestrator.status import projects

    return [one.project for one in projects(aws)]


def _delete_projects(aws: Aws, known: list[str], console: Console) -> None:
    from orchestrator.flow import delete_project

    for name in known:
        for one in delete_project(name, aws, confirmed=True):
            console.say(f"  {one.outcome:8} {one.what:9} {one.name} ({one.account})")


def removal_text(wanted: Removal, known: list[str]) -> str:
    """What goes and what stays."""
    lines = [f"  goes     project {name} with its endpoints" for name in known]
    lines += [f"  goes     stack {stack} ({account})" for account, stack in wanted.stacks]
    lines += [f"  stays    {one.type} {one.name} ({one.account})" for one in wanted.leftovers]
    if wanted.leftovers:
        lines.append("What stays is taken up again by the next `mlops deploy`; remove it by hand to be rid of it.")
    return "\n".join(lines)
