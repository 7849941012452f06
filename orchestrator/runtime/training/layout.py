"""The folder a job sees as ``/opt/ml``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.runtime.archives import unpack
from orchestrator.runtime.training.job import Job

HOST = "algo-1"
GROUP = "homogeneousCluster"
FRESH = ("model", "output", "code")
"""What an attempt of the job starts without, whatever an earlier one left there."""


def resource_config(job: Job) -> dict[str, Any]:
    """``resourceconfig.json``: a cluster of one."""
    return {
        "current_host": HOST,
        "current_instance_type": job.instance_type,
        "current_group_name": GROUP,
        "hosts": [HOST],
        "instance_groups": [
            {"instance_group_name": GROUP, "instance_type": job.instance_type, "hosts": [HOST]},
        ],
        "network_interface_name": "lo",
    }


def container_hyperparameters(job: Job, base: str) -> dict[str, str]:
    """``hyperparameters.json``: the job's own, with the code's place where script mode expects it."""
    if not job.script:
        return dict(job.hyperparameters)
    return {**job.hyperparameters, "sagemaker_submit_directory": json.dumps(f"{base}/code")}


def lay_out(job: Job, folder: Path, base: str) -> Path:
    """Make ``folder/ml`` ready for a fresh attempt and return it; raises BadArchive when the code is not a tar."""
    ml = folder / "ml"
    for name in FRESH:
        shutil.rmtree(ml / name, ignore_errors=True)
    for name in ("input/config", "input/data", "model", "output/data", "code", "checkpoints"):
        (ml / name).mkdir(parents=True, exist_ok=True)
    for channel in job.channels:
        (ml / "input/data" / channel).mkdir(exist_ok=True)
    config = ml / "input/config"
    _write(config / "hyperparameters.json", container_hyperparameters(job, base))
    _write(config / "inputdataconfig.json", job.channels)
    _write(config / "resourceconfig.json", resource_config(job))
    if job.checkpoints:
        _write(config / "checkpointconfig.json", {"LocalPath": job.checkpoints})
    source = folder / "source.tar.gz"
    if source.exists():
        unpack(source, ml / "code")
    return ml


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, sort_keys=True))
