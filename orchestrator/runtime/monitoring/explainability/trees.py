"""The exact Shapley values of gradient boosted trees, as XGBoost itself computes them from a model file.

They need no background rows and no questions, and are in the model's own margin (log odds, for a classifier).

Source: https://xgboost.readthedocs.io/en/stable/prediction.html
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from orchestrator.runtime.monitoring.explainability.kernel import Cells, Explained
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable, PackagesMissing

SUFFIXES = (".json", ".ubj")


def explain(rows: Cells, names: Sequence[str], file: Path) -> Explained:
    """The attributions of each row. Raises a MonitoringError when the file is no model of these features."""
    if find_spec("xgboost") is None:
        raise PackagesMissing(
            "The package xgboost is not installed.", hint="pip install xgboost, or leave model_file out."
        )
    if not file.is_file():
        raise InputMissing(f"There is no model_file {file}.", hint="Check the path.")
    if file.suffix not in SUFFIXES:
        raise InputUnreadable(
            f"The model_file {file} is not {' or '.join(SUFFIXES)}.",
            hint="Save it with Booster.save_model('model.json').",
        )
    if rows.dtype != np.float64:
        raise InputUnreadable(
            "Trees of a model_file need numbers; some features are text.", hint="Leave model_file out."
        )
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(file)
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise InputUnreadable(f"{file} is no model of XGBoost: {str(error).splitlines()[0]}") from error
    order = _order(booster.feature_names, booster.num_features(), names, file)
    data = xgboost.DMatrix(rows[:, order], feature_names=booster.feature_names)
    found = np.asarray(booster.predict(data, pred_contribs=True), dtype=np.float64)
    found = found.reshape(len(rows), -1, len(names) + 1).transpose(1, 0, 2)
    values = np.empty_like(found[..., :-1])
    values[..., order] = found[..., :-1]
    return Explained(values, found[..., -1].mean(axis=1))


def _order(known: Sequence[str] | None, count: int, names: Sequence[str], file: Path) -> list[int]:
    """The places of the model's features among the columns."""
    if known is None:
        if count != len(names):
            raise InputUnreadable(f"{file} has {count} features, the data has {len(names)}.")
        return list(range(len(names)))
    if sorted(known) != sorted(names):
        strange = sorted(set(known) ^ set(names))[:10]
        raise InputUnreadable(f"{file} and the data have different features: {', '.join(strange)}.")
    return [list(names).index(name) for name in known]
