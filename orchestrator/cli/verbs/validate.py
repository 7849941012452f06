"""Check a config: every problem at once, each with its path, the value, what is allowed and the fix."""

from __future__ import annotations

import argparse

from orchestrator.cli import config, target
from orchestrator.cli.console import Console

SUMMARY = "check a config; tells every problem at once"


def register(parser: argparse.ArgumentParser) -> None:
    config.add_argument(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.blueprint import load_catalog
    from orchestrator.validate import validate

    body = config.read_packed(arguments.config)
    workload = validate(body, load_catalog(), target.settings_for_reading(arguments, console))
    document = {
        "valid": True,
        "model_name": workload.model_name,
        "stages": [stage.name for stage in workload.stages],
        "pipelines": [
            {"name": spec.name, "type": spec.pipeline_type, "kind": spec.kind} for spec in workload.pipelines
        ],
    }
    names = ", ".join(f"{spec.name} ({spec.kind})" for spec in workload.pipelines)
    console.data(document, f"{arguments.config} is valid: {workload.model_name}: {names}")
    return 0
