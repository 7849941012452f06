"""The embedded AWS: starting it, and a commit's way to production without the training, each beside its floor.

The floor of the start is a bare moto server's. The floor of the way to production is starting three model servers
one after the other, because an endpoint cannot be in service before its process is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bench.measure import Figure

MOTO = "from moto.server import main; main(['-p', '{port}'])"


def moto_start() -> float:
    """Wall seconds until a bare moto server answers."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = time.monotonic()
    server = subprocess.Popen([sys.executable, "-c", MOTO.format(port=port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
                return time.monotonic() - started
            except urllib.error.HTTPError:
                return time.monotonic() - started
            except OSError:
                time.sleep(0.01)
    finally:
        server.kill()
        server.wait()


def to_production(walk: Any, outputs: dict[str, str]) -> tuple[float, float]:
    """Wall seconds from the commit to the end of the run, and those of the training job in them."""
    from orchestrator.cli import embedded

    walk.write_data(outputs["AssetsBucket"])
    repository = walk.repository()
    embedded.link_repository(walk.running, repository)
    project = f"mlops-pipeline-{walk.config['model_name']}-workload"
    started = time.monotonic()
    walk.commit(repository, "first")
    for event in walk.follow(project, walk.wait_for_run(project)):
        if event.approval:
            walk.approve(project, event.approval, "approved by a bench")
    total = time.monotonic() - started
    sagemaker = walk.client("sagemaker")
    job = sagemaker.list_training_jobs()["TrainingJobSummaries"][0]
    return total, (job["TrainingEndTime"] - job["CreationTime"]).total_seconds()


def endpoint_start(walk: Any) -> float:
    """Wall seconds of a fresh endpoint of the same model, through the SageMaker API."""
    sagemaker = walk.client("sagemaker", walk.running.accounts["dev"])
    config = sagemaker.describe_endpoint(EndpointName="breast-cancer-endpoint-dev")["EndpointConfigName"]
    started = time.monotonic()
    sagemaker.create_endpoint(EndpointName="floor", EndpointConfigName=config)
    while sagemaker.describe_endpoint(EndpointName="floor")["EndpointStatus"] == "Creating":
        time.sleep(0.02)
    return time.monotonic() - started


def run() -> list[Figure]:
    """Start-up and the way to production."""
    from orchestrator.cli import embedded
    from orchestrator.cli.console import Console
    from orchestrator.cli.verbs.init import examples
    from orchestrator.cli.walk import Walk

    bare = min(moto_start() for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLOPS_HOME"] = folder
        home, quiet, starts = Path(folder) / "aws", Console(quiet=True), []
        for _ in range(3):
            started = time.monotonic()
            running = embedded.start(home, quiet)
            starts.append(time.monotonic() - started)
            embedded.stop(home)
        running = embedded.start(home, quiet)
        try:
            outputs = embedded.install(running, quiet)
            scratch = Path(folder) / "walk"
            scratch.mkdir()
            walk = Walk(running, examples()["breast-cancer"], scratch)
            total, training = to_production(walk, outputs)
            floor = 3 * endpoint_start(walk)
        finally:
            embedded.stop(home)
    return [
        Figure("bare moto server: start", bare, "s", note="the floor"),
        Figure("embedded AWS: start beside it", min(starts) / bare, "×", 3),
        Figure("commit to production, training taken off", total - training, "s"),
        Figure("three endpoints one after the other", floor, "s", note="the floor"),
        Figure("commit to production beside the floor", (total - training) / floor, "×", 6),
    ]
