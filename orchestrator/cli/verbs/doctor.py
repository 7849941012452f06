"""Look whether this machine and its AWS accounts are ready for `mlops deploy`; says what is missing and what to do.

Changes nothing. Exit code 0: ready; 5: something is missing.
"""

from __future__ import annotations

import argparse

from orchestrator.cli import installing
from orchestrator.cli.console import Console

SUMMARY = "is everything there for a deployment to AWS?"
NOT_READY = 5


def register(parser: argparse.ArgumentParser) -> None:
    installing.add_arguments(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.infra.readiness import MISSING, ready

    site, checks = installing.site(arguments, console)
    if site is not None:
        checks += installing.examined(site, arguments, {})
    missing = [check for check in checks if check.state == MISSING]
    document = {"ready": ready(checks), "checks": [check.as_dict() for check in checks]}
    console.data(document, installing.checks_text(checks))
    console.say("Ready: `mlops deploy`." if not missing else f"{len(missing)} missing; nothing was changed.")
    return 0 if not missing else NOT_READY
