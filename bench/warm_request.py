"""A warm POST /provisionpipeline through the handler: AWS calls and CPU, on a running embedded AWS.

The peer is the work that cannot be avoided: the same number of AWS calls (HeadObject and DescribeStacks) with boto3.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measure import Figure

ROUNDS = 30


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of one call, the median of the rounds."""
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return sorted(taken)[ROUNDS // 2]


def run() -> list[Figure]:
    """Calls of a first and of an unchanged request, and the CPU of the latter."""
    from orchestrator.aws import Aws
    from orchestrator.blueprint import load_catalog
    from orchestrator.cli import embedded
    from orchestrator.cli.console import Console
    from orchestrator.cli.target import Target
    from orchestrator.cli.verbs.init import examples
    from orchestrator.flow import provision_config

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLOPS_HOME"] = folder
        running = embedded.start(Path(folder) / "aws", Console(quiet=True))
        try:
            embedded.install(running, Console(quiet=True))
            target = Target(running.region, running)
            target.enter()
            settings, catalog = target.settings(), load_catalog()
            body = json.loads((examples()["breast-cancer"] / "mlops-config.json").read_text())

            def provision() -> tuple[Aws, str]:
                aws = Aws(settings)
                return aws, provision_config(body, aws, settings, catalog).outcome

            first, outcome = provision()
            assert outcome == "created", outcome
            aws = Aws(settings)
            provision_config(body, aws, settings, catalog)
            aws.calls.clear()
            unchanged = cpu(lambda: provision_config(body, aws, settings, catalog))
            calls = aws.calls.total() / ROUNDS
            s3, cloudformation = target.client("s3"), target.client("cloudformation")

            def floor() -> None:
                s3.head_bucket(Bucket=settings.assets_bucket)
                cloudformation.describe_stacks(StackName="mlops-orchestrator")

            least = cpu(floor)
        finally:
            embedded.stop(Path(folder) / "aws")
    return [
        Figure("first provision", first.calls.total(), "AWS calls", 4),
        Figure("unchanged provision", calls, "AWS calls", 3),
        Figure("unchanged provision: CPU", unchanged * 1000, "ms"),
        Figure("two bare AWS calls: CPU", least * 1000, "ms", note="the floor"),
        Figure("unchanged provision beside the floor", unchanged / least, "×", 12),
    ]
