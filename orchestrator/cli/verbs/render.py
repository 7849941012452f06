"""Write what a config becomes: the bundle's templates and parameters, and the CodePipeline's template."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli import config, target
from orchestrator.cli.console import Console

SUMMARY = "write the CloudFormation a config becomes into a folder"


def register(parser: argparse.ArgumentParser) -> None:
    config.add_argument(parser)
    parser.add_argument("--out", default="build/rendered", help="the folder to write (default build/rendered)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from orchestrator.blueprint import load_catalog
    from orchestrator.package import package
    from orchestrator.plan import plan
    from orchestrator.render import render
    from orchestrator.validate import validate

    catalog, settings = load_catalog(), target.settings_for_reading(arguments, console)
    decided = plan(validate(config.read_packed(arguments.config), catalog, settings), settings, catalog)
    rendering = render(decided, catalog, settings)
    bundle = package(rendering)
    folder = Path(arguments.out)
    written = {**rendering.files, "codepipeline.template.json": rendering.pipeline_template.encode()}
    for name, content in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    document = {
        "folder": str(folder),
        "files": sorted(written),
        "bundle_digest": bundle.digest,
        "bundle_bytes": len(bundle.data),
    }
    console.data(document, f"{len(written)} files in {folder} (bundle {bundle.digest[:12]}, {len(bundle.data)} bytes)")
    return 0
