"""Writes ``golden/shap.json``: what the package shap says about a function and about a model of XGBoost.

It brings numba and needs an environment of its own::

    python -m venv oracle && oracle/bin/pip install shap xgboost scikit-learn
    oracle/bin/python tests/runtime/monitoring/oracles/generate_shap.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import shap
import xgboost

GOLDEN = Path(__file__).parents[1] / "golden"


def wavy(x: np.ndarray) -> np.ndarray:
    """Two outputs with interactions; ``test_explainability`` has the same function."""
    first = 2 * x[:, 0] + x[:, 1] * x[:, 2] - np.abs(x[:, 3]) + 0.5 * np.sin(3 * x[:, 4])
    second = np.tanh(x[:, 0] * x[:, -1]) + 0.3 * x[:, 1] ** 2
    return np.stack([first, second], axis=1)


def kernel(features: int, samples: int) -> dict[str, object]:
    random = np.random.default_rng(features)
    background, rows = random.normal(size=(4, features)).round(3), random.normal(size=(5, features)).round(3)
    np.random.seed(0)  # shap draws from it
    explainer = shap.KernelExplainer(wavy, background)
    values = explainer.shap_values(rows, nsamples=samples, l1_reg=f"num_features({features})", silent=True)
    return {"background": background.tolist(), "rows": rows.tolist(), "samples": samples,
            "values": np.moveaxis(np.asarray(values), -1, 0).tolist(),
            "expected": np.asarray(explainer.expected_value).tolist()}  # fmt: skip


def trees() -> dict[str, object]:
    random = np.random.default_rng(1)
    x = random.normal(size=(300, 4)).round(2)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)
    model = xgboost.XGBClassifier(n_estimators=6, max_depth=3).fit(x, y)
    model.get_booster().save_model(GOLDEN / "trees.json")
    rows = x[:6]
    explainer = shap.TreeExplainer(model)
    return {"rows": rows.tolist(), "values": np.asarray(explainer.shap_values(rows)).tolist(),
            "expected": float(np.asarray(explainer.expected_value).ravel()[0])}  # fmt: skip


if __name__ == "__main__":
    found = {"exact": kernel(6, 2**6), "drawn": kernel(12, 400), "trees": trees()}
    (GOLDEN / "shap.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
