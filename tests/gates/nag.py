"""cdk-nag over a folder of templates, each through CfnInclude: ``python -m tests.gates.nag FOLDER``.

A process of its own: the CDK starts Node, and a failed validation ends it. The report lies in ``FOLDER/out``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import aws_cdk
from aws_cdk.cloudformation_include import CfnInclude
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks, ServerlessChecks


def main(folder: Path) -> None:
    """Synthesise; cdk-nag writes its report on the way."""
    app = aws_cdk.App(outdir=str(folder / "out"), analytics_reporting=False)
    for file in sorted(folder.glob("*.json")):
        stack = aws_cdk.Stack(app, file.stem.replace("_", "-").replace(".", "-"))
        CfnInclude(stack, "Template", template_file=str(file))
    aws_cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), NIST80053R5Checks(app), ServerlessChecks(app))
    app.synth()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
