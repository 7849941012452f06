"""What ``deploy``, ``destroy`` and ``doctor`` share: the stages on the command line, and the ways into accounts."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli.console import Console
from orchestrator.cli.target import Target, find
from orchestrator.errors import AwsFailed, BadRequest, SettingsMissing
from orchestrator.model import Stage

if TYPE_CHECKING:
    from orchestrator.infra.installation import Accounts
    from orchestrator.infra.readiness import Check

STAGE = re.compile(r"(?P<name>[a-z][a-z0-9-]{0,29})=(?P<account>[0-9]{12})(:(?P<region>[a-z]{2}(-[a-z]+)+-\d))?")
UNIT = re.compile(r"((?P<name>[a-z][a-z0-9-]{0,29})=)?(?P<unit>ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})")
SIGNS = {"ok": "✓", "missing": "✗", "warning": "!", "skipped": "–"}


@dataclass(frozen=True, slots=True)
class Site:
    """Where an installation is or will be: ``ways`` says for each other account how it is reached, ``before`` holds the
    parameters of the one that stands."""

    target: Target
    accounts: Accounts
    stages: tuple[Stage, ...]
    ways: dict[str, str]
    before: dict[str, str]

    @property
    def rolled_out(self) -> bool:
        """Whether the installation that stands rolls its stages out by a stack set."""
        return any(self.before.get(name) for name in ("StageUnits", "DevOrgId", "StagingOrgId", "ProdOrgId"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which accounts are meant."""
    parser.add_argument(
        "--stages",
        default="",
        metavar="NAME=ACCOUNT[:REGION],...",
        help="stages in order: dev=222222222222:us-east-1,prod=444444444444 (default: as they are, at first prod here)",
    )
    parser.add_argument("--profiles", default="", metavar="NAME=PROFILE,...", help="AWS profile for each stage")
    parser.add_argument("--stage-role", default="", metavar="ROLE", help="role to assume in every stage's account")
    parser.add_argument(
        "--units",
        default="",
        metavar="[NAME=]OU,...",
        help="roll out by a stack set to these organizational units; with the stage's name, or when there is only one,"
        " also where a config with stack sets finds the stage's account",
    )
    parser.add_argument(
        "--management-account", action="store_true", help="with --units: this is the organization's management account"
    )


def stages_of(text: str, hub: str, region: str) -> tuple[Stage, ...]:
    """The stages that are meant; every one but the first needs an approval. Raises BadRequest for all that is wrong."""
    if not text:
        return (Stage("prod", hub, region, False),)
    found, wrong = [], []
    for number, part in enumerate(text.split(",")):
        match = STAGE.fullmatch(part.strip())
        if match is None:
            wrong.append(part)
        else:
            found.append(Stage(match["name"], match["account"], match["region"] or region, number > 0))
    if wrong:
        raise BadRequest(f"Not stages: {', '.join(map(repr, wrong))}.", hint="Write dev=222222222222:us-east-1,...")
    names = [stage.name for stage in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadRequest(f"Stages that are there twice: {', '.join(twice)}.")
    return tuple(found)


def units_of(text: str) -> tuple[str, ...]:
    """The organizational units of ``--units``, each once, in order. Raises BadRequest for what is none."""
    return tuple(dict.fromkeys(unit for _, unit in _units(text)))


def with_units(stages: Sequence[Stage], text: str, hub: str) -> tuple[Stage, ...]:
    """The stages with the organizational units that hold their accounts: those with a name, or the only one for all.

    A stage in the hub's account has none, because stack sets do not reach it. Raises BadRequest for a stage that there
    is not.
    """
    given = _units(text)
    named = {name: unit for name, unit in given if name}
    unknown = sorted(named.keys() - {stage.name for stage in stages})
    if unknown:
        raise BadRequest(f"--units names stages that there are not: {', '.join(unknown)}.")
    only = given[0][1] if len(given) == 1 and not named else ""
    units = {stage.name: named.get(stage.name, only) for stage in stages if stage.account != hub}
    return tuple(
        replace(stage, organizational_unit=units.get(stage.name, "") or stage.organizational_unit) for stage in stages
    )


def _units(text: str) -> list[tuple[str, str]]:
    """(stage or "", unit) of each part."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = [(part, UNIT.fullmatch(part)) for part in parts]
    wrong = [part for part, match in found if match is None]
    if wrong:
        raise BadRequest(
            f"Not organizational units: {', '.join(map(repr, wrong))}.",
            hint="Write ou-ab12-cdef3456 or dev=ou-ab12-...",
        )
    return [(match["name"] or "", match["unit"]) for _, match in found if match]


def site(arguments: argparse.Namespace, console: Console) -> tuple[Site | None, list[Check]]:
    """The place that the arguments mean, and what was looked at on the way; no place when something is missing."""
    import boto3
    from botocore.exceptions import BotoCoreError

    from orchestrator.infra import readiness
    from orchestrator.infra.installation import Accounts, remembered

    target = find(arguments, console)
    checks = list(readiness.machine())
    if target.running is not None:
        session = _embedded(target.running.accounts["orchestrator"], target.region)
    else:
        try:
            session = boto3.Session(region_name=target.region or None)
        except BotoCoreError as error:
            checks.append(readiness.Check("Credentials", readiness.MISSING, str(error), readiness.SIGN_IN))
            return None, checks
    region = target.region or session.region_name or ""
    known, hub = readiness.credentials(session, region, target.endpoint or "")
    checks += [known, readiness.region_of(session, region)]
    if not hub or not region:
        return None, checks
    alone = Accounts(hub, region, {hub: session}, target.endpoint or "")
    try:
        before = remembered(alone)
    except AwsFailed as error:
        fix = "Use credentials that may use CloudFormation, IAM, Lambda and the other services of the templates."
        checks.append(readiness.Check("Rights", readiness.MISSING, f"CloudFormation refuses: {error.message}", fix))
        return None, checks
    stages = stages_of(arguments.stages, hub, region) if arguments.stages else stages_before(before, hub, region)
    stages = with_units(stages, arguments.units, hub)
    sessions, ways = _ways(arguments, target, session, hub, stages)
    accounts = replace(alone, sessions={hub: session, **sessions})
    return Site(replace(target, region=region), accounts, stages, ways, before), checks


def stages_before(before: Mapping[str, str], hub: str, region: str) -> tuple[Stage, ...]:
    """The stages of a standing installation; prod in the hub's account when there is none."""
    listed = json.loads(before.get("Stages") or "[]")
    stages = [
        Stage(
            one["name"],
            one["account"],
            one.get("region", region),
            bool(one.get("approval")),
            one.get("organizational_unit", ""),
        )
        for one in listed
    ]
    return tuple(stages) or stages_of("", hub, region)


def examined(site: Site, arguments: argparse.Namespace, options: dict[str, str]) -> list[Check]:
    """What is to be looked at once there are credentials."""
    from orchestrator.infra import readiness

    checks = list(readiness.hub(site.accounts))
    if arguments.units or site.rolled_out:
        managing = arguments.management_account or site.before.get("DelegatedAdminAccount") == "No"
        checks += readiness.organisation(site.accounts, delegated=not managing)
    else:
        checks += readiness.stages(site.accounts, site.stages, site.ways)
    return [*checks, *readiness.own_buckets(site.accounts, options)]


def _ways(
    arguments: argparse.Namespace, target: Target, session: Any, hub: str, stages: Sequence[Stage]
) -> tuple[dict[str, Any], dict[str, str]]:
    """A session for every other account that can have one, and by what it is reached."""
    import boto3

    profiles = dict(_pairs(arguments.profiles, "--profiles", "dev=acme-dev,prod=acme-prod"))
    unknown = sorted(set(profiles) - {stage.name for stage in stages})
    if unknown:
        raise BadRequest(f"--profiles names stages that there are not: {', '.join(unknown)}.")
    sessions, ways = {}, {}
    for stage in stages:
        if stage.account == hub:
            continue
        if target.running is not None:
            sessions[stage.account], ways[stage.account] = _embedded(stage.account, target.region), "the embedded AWS"
        elif stage.name in profiles:
            sessions[stage.account] = boto3.Session(profile_name=profiles[stage.name], region_name=stage.region)
            ways[stage.account] = f"the profile {profiles[stage.name]}"
        elif arguments.stage_role:
            sessions[stage.account] = _assumed(session, stage, arguments.stage_role)
            ways[stage.account] = f"the role {arguments.stage_role}"
    return sessions, ways


def _pairs(text: str, option: str, example: str) -> list[tuple[str, str]]:
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if any(not (name and value) for name, _, value in parts):
        raise BadRequest(f"{option} cannot be read: {text!r}.", hint=f"Write {option} {example}.")
    return [(name, value) for name, _, value in parts]


def _embedded(account: str, region: str) -> Any:
    import boto3

    return boto3.Session(account, "local", region_name=region)


def _assumed(session: Any, stage: Stage, role: str) -> Any:
    """A session of a role in a stage's account. Raises SettingsMissing when it may not be taken."""
    import boto3
    from botocore.exceptions import ClientError

    partition = session.get_partition_for_region(stage.region)
    arn = f"arn:{partition}:iam::{stage.account}:role/{role}"
    try:
        answer = session.client("sts").assume_role(RoleArn=arn, RoleSessionName="mlops-deploy")["Credentials"]
    except ClientError as error:
        raise SettingsMissing(f"{arn} cannot be taken: {error}", hint="Check its trust policy.") from error
    return boto3.Session(
        answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], region_name=stage.region
    )


def checks_text(checks: Sequence[Check]) -> str:
    """One line for each check, and what to do where something is to be done."""
    lines = []
    for check in checks:
        lines.append(f"{SIGNS[check.state]} {check.name}: {check.found}")
        if check.fix:
            lines.append(f"    {check.fix}")
    return "\n".join(lines)
