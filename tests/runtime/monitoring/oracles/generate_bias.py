"""Writes ``golden/bias.json``: rows, and what Clarify's open library (smclarify) says about them.

It needs pandas before 3, so it runs in an environment of its own::

    python -m venv oracle && oracle/bin/pip install smclarify 'pandas<3'
    oracle/bin/python tests/runtime/monitoring/oracles/generate_bias.py
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from smclarify.bias.report import FacetColumn, LabelColumn, StageType, bias_report

logging.disable(logging.CRITICAL)
CASES = [
    # rows, share of the facet, of positive labels, error rate, groups
    (14, 0.4, 0.5, 0.2, 2), (60, 0.3, 0.4, 0.2, 3), (200, 0.1, 0.2, 0.1, 4), (200, 0.5, 0.8, 0.4, 2),
    (24, 0.5, 0.5, 0.0, 2), (40, 0.2, 0.1, 0.3, 8), (300, 0.35, 0.5, 0.15, 1), (20, 0.15, 0.6, 0.5, 3),
]  # fmt: skip


def texts(flags: object) -> pd.Series:
    """Flags as texts: numbers with few rows would be taken for continuous ones."""
    return pd.Series(flags).map({0: "no", 1: "yes"})


def case(number: int, rows: int, facets: float, positives: float, wrong: float, groups: int) -> dict[str, object]:
    random = np.random.default_rng(number)
    frame = pd.DataFrame({
        "x": random.normal(size=rows).round(3), "y": random.normal(size=rows).round(3),
        "facet": (random.random(rows) < facets).astype(int),
    })  # fmt: skip
    label = (random.random(rows) < positives).astype(int)
    predicted = np.where(random.random(rows) < wrong, 1 - label, label)
    group = random.integers(0, groups, rows)
    values: dict[str, object] = {}
    for stage in StageType:
        report = bias_report(
            frame.assign(facet=texts(frame["facet"])), FacetColumn("facet", ["yes"]),
            LabelColumn("label", texts(label), ["yes"]), stage,
            LabelColumn("predicted", texts(predicted), ["yes"]), group_variable=pd.Series(group),
        )  # fmt: skip
        values |= {each["name"]: "error" if "error" in each else each["value"] for each in report[0]["metrics"]}
    columns = {"facet": frame["facet"].tolist(), "label": label.tolist(), "predicted": predicted.tolist(),
               "group": group.tolist(), "x": frame["x"].tolist(), "y": frame["y"].tolist()}  # fmt: skip
    return {"rows": columns, "metrics": dict(sorted(values.items()))}


if __name__ == "__main__":
    found = [case(number, *each) for number, each in enumerate(CASES)]
    path = Path(__file__).parents[1] / "golden" / "bias.json"
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in found)
    path.write_text(f"[\n{lines}\n]\n")
