"""Validate, plan and render workloads of 1 to 1,000 pipelines: CPU for each pipeline must not grow.

The limit is on the ratio of the CPU for one pipeline at 1,000 and at 10 (1 pipeline pays for the catalog).
"""

from __future__ import annotations

import time
from typing import Any

from bench.measure import Figure


def workload(pipelines: int) -> dict[str, Any]:
    """A config with this many endpoints, in one stage."""
    endpoint = {
        "pipeline_type": "realtime_inference",
        "framework": "xgboost",
        "framework_version": "1.7-1",
        "model_data": "models/churn/model.tar.gz",
        "instance_type": "ml.m5.large",
    }
    return {
        "version": 2,
        "model_name": "growth",
        "stages": [{"name": "prod", "account": "111111111111", "region": "us-east-1"}],
        "pipelines": [{"name": f"endpoint-{number}", **endpoint} for number in range(pipelines)],
    }


def run() -> list[Figure]:
    """CPU a pipeline at each size."""
    from orchestrator.blueprint import load_catalog
    from orchestrator.cli.target import offline_settings
    from orchestrator.package import package
    from orchestrator.plan import plan
    from orchestrator.render import render
    from orchestrator.validate import validate

    catalog, settings = load_catalog(), offline_settings()

    def seconds(size: int) -> float:
        body, started = workload(size), time.process_time()
        package(render(plan(validate(body, catalog, settings), settings, catalog), catalog, settings))
        return time.process_time() - started

    seconds(1)  # warm
    each = {size: min(seconds(size) for _ in range(3 if size < 1000 else 1)) / size for size in (1, 10, 100, 1000)}
    figures = [Figure(f"{size} pipelines: CPU for each", value * 1000, "ms") for size, value in each.items()]
    return [*figures, Figure("growth: 1,000 beside 10", each[1000] / each[10], "×", 1.5)]
