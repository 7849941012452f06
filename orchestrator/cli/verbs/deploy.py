"""Deploy the orchestrator itself to AWS, or bring a deployment up to date.

Looks first whether everything is there (as `mlops doctor`), then shows what CloudFormation would do, asks, and does it.
One account:        mlops deploy --profile acme
Several accounts:   mlops deploy --profile hub --stages dev=222222222222,prod=444444444444 --profiles dev=d,prod=p
Organizations:      mlops deploy --profile hub --stages dev=222222222222,prod=444444444444 --units ou-ab12-cdef3456
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.cli import installing
from orchestrator.cli.console import Console
from orchestrator.errors import BadRequest, SettingsMissing

if TYPE_CHECKING:
    from orchestrator.infra.deployment import StackPlan

SUMMARY = "deploy the orchestrator itself to AWS"
ARCHITECTURE, PYTHON = "arm64", "3.13"
DECLINED = 1


def register(parser: argparse.ArgumentParser) -> None:
    installing.add_arguments(parser)
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the launch template"
    )
    parser.add_argument("--email", default="", help="where results and waiting approvals are mailed to")
    parser.add_argument(
        "--require-approval",
        metavar="STAGE,...",
        help="stages that no config changes without a review; their accounts neither (default: as it is; '': none)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--plan", action="store_true", help="show what would be done, and stop")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.infra import deployment, readiness
    from orchestrator.infra.installation import MULTI_ACCOUNT, SINGLE_ACCOUNT, kept_options, prepare

    options = _options(arguments)
    site, checks = installing.site(arguments, console)
    if site is not None:
        checks += installing.examined(site, arguments, options)
    console.say(installing.checks_text(checks))
    if site is None or not readiness.ready(checks):
        raise SettingsMissing(
            "Not everything is there for a deployment; nothing was changed.", hint="See the lines with ✗."
        )
    several = any(stage.account != site.accounts.hub for stage in site.stages)
    kept = kept_options(site.before, site.accounts, MULTI_ACCOUNT if several else SINGLE_ACCOUNT)
    if not readiness_of_log_role(site):
        kept["SetApiGatewayLogRole"] = "No"
    options = {**kept, **options}
    prepared = prepare(site.accounts, site.stages, _package(site, console), {**_target_options(site), **options})
    plans = deployment.plan(site.accounts, prepared)
    console.say(plan_text(plans))
    document = {"plan": [_as_dict(one) for one in plans], "parameters": dict(prepared.parameters)}
    if arguments.plan or not _agreed(arguments, plans):
        deployment.discard(site.accounts, plans)
        console.data({**document, "outcome": "planned"}, "Nothing was changed.")
        return 0 if arguments.plan else DECLINED
    outputs = deployment.apply(site.accounts, prepared, plans)
    console.data({**document, "outcome": "deployed", "outputs": outputs}, outputs_text(outputs))
    console.say("Next: `mlops init`, then `mlops provision --profile ...`.")
    return 0


def _options(arguments: argparse.Namespace) -> dict[str, str]:
    options = {}
    for text in arguments.parameter:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadRequest(f"--parameter cannot be read: {text!r}.", hint="Write --parameter NAME=VALUE.")
        options[name] = value
    if arguments.email:
        options["NotificationEmail"] = arguments.email
    if arguments.require_approval is not None:
        options["StagesThatNeedApproval"] = arguments.require_approval.replace(" ", "")
    if arguments.units:
        options["StageUnits"] = ",".join(installing.units_of(arguments.units))
        options["DelegatedAdminAccount"] = "No" if arguments.management_account else "Yes"
    return options


def readiness_of_log_role(site: installing.Site) -> bool:
    """Whether API Gateway's role for logs is ours to set: there is none, or it is the one that we set."""
    from orchestrator.infra.readiness import log_role

    found = log_role(site.accounts)
    return not found or found.endswith("-orchestrator-api-logs")


def _package(site: installing.Site, console: Console) -> bytes:
    """The function's zip: for Lambda, or for this machine where Lambda is the embedded one."""
    from orchestrator.infra.lambda_package import build

    console.step("Making the function's zip")
    return build() if site.target.running is not None else build(ARCHITECTURE, PYTHON)


def _target_options(site: installing.Site) -> dict[str, str]:
    if site.target.running is not None:
        return {}
    return {"Architecture": ARCHITECTURE, "Runtime": f"python{PYTHON}"}


def _agreed(arguments: argparse.Namespace, plans: Sequence[StackPlan]) -> bool:
    if arguments.yes or all(one.action == "unchanged" for one in plans):
        return True
    return input("Do this? [y/N] ").strip().lower() == "y"


def plan_text(plans: Sequence[StackPlan]) -> str:
    """What would be done, stack by stack; each resource that is changed, replaced or removed by its name."""
    lines = []
    for one in plans:
        counted = Counter(change.action for change in one.changes)
        told = ", ".join(f"{count} {action.lower()}" for action, count in sorted(counted.items())) or "no change"
        lines.append(f"▸ {one.stack} in {one.account}: {one.action} ({told})")
        lines += [
            f"    {change.action:8} {change.name} ({change.type})"
            for change in one.changes
            if one.action != "create" or change.action != "Add"
        ]
    return "\n".join(lines)


def _as_dict(one: StackPlan) -> dict[str, object]:
    changes = [{"action": change.action, "type": change.type, "name": change.name} for change in one.changes]
    return {"account": one.account, "stack": one.stack, "action": one.action, "changes": changes}


def outputs_text(outputs: dict[str, str]) -> str:
    """What a person needs to know of a deployment."""
    shown = ("ApiUrl", "ConfigBucket", "AssetsBucket", "RepositoryUri", "FunctionName", "TopicArn")
    return "\n".join(f"{name:14} {outputs[name]}" for name in shown if name in outputs)
