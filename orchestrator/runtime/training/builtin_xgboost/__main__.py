"""The algorithm: reads ``/opt/ml/input``, prints SageMaker's metric lines, writes ``/opt/ml/model/xgboost-model``."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import xgboost

from orchestrator.runtime.training.builtin_xgboost.data import load
from orchestrator.runtime.training.builtin_xgboost.hyperparameters import UserError, validate
from orchestrator.runtime.training.builtin_xgboost.scores import custom_metric, split_metrics

CHANNELS = {"train", "validation", "code"}
NOT_XGBOOST = {"num_round", "csv_weights", "early_stopping_rounds", "_tuning_objective_metric", "predictor"} | {
    "save_model_on_termination",
    "deterministic_histogram",
    "use_dask_gpu_training",
    "sketch_eps",
}
"""Validated hyperparameters that today's XGBoost does not take (or that are ours)."""
MAXIMIZED = ("auc", "aucpr", "map", "ndcg", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "r2")


class Printer(xgboost.callback.TrainingCallback):
    """Prints ``[round]<tab>train-metric:value...``, which the metric definitions of the algorithm read."""

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        values = "".join(
            f"\t{channel}-{metric}:{series[-1]:.5f}"
            for channel, metrics in evals_log.items()
            for metric, series in metrics.items()
        )
        print(f"[{epoch}]{values}", flush=True)
        return False


def train(base: Path) -> None:
    """Train and save the model; raises UserError for what the user can put right."""
    config = base / "input/config"
    given = json.loads((config / "hyperparameters.json").read_text())
    channels = json.loads((config / "inputdataconfig.json").read_text())
    parameters = validate({name: value for name, value in given.items() if not name.startswith("sagemaker_")})
    if "train" not in channels:
        raise UserError("Missing required channel: train")
    unknown = sorted(set(channels) - CHANNELS)
    if unknown:
        raise UserError(f"Extraneous channel found: {unknown[0]}. The algorithm reads train and validation.")
    weights = bool(parameters.get("csv_weights"))
    sets = {
        name: load(base / "input/data" / name, channels[name].get("ContentType"), weights=weights)
        for name in ("train", "validation")
        if name in channels
    }
    for name, matrix in sets.items():
        print(f"{name.capitalize()} matrix has {matrix.num_row()} rows and {matrix.num_col()} columns", flush=True)
    booster = fit(parameters, sets)
    (base / "model/xgboost-model").write_bytes(bytes(booster.save_raw("ubj")))


def fit(parameters: dict[str, Any], sets: dict[str, xgboost.DMatrix]) -> xgboost.Booster:
    """Boost for ``num_round`` rounds or until the last metric of the last set stops getting better."""
    wanted = list(parameters.get("eval_metric", []))
    tuned = parameters.get("_tuning_objective_metric", "").partition(":")[2]
    if tuned and tuned not in wanted:
        wanted.append(tuned)
    native, custom = split_metrics(wanted)
    settings = {name: value for name, value in parameters.items() if name not in NOT_XGBOOST | {"eval_metric"}}
    if settings.get("objective") == "reg:linear":
        settings["objective"] = "reg:squarederror"  # its name since XGBoost 0.90
    if "updater" in settings:
        settings["updater"] = ",".join(settings["updater"])
    if native:
        settings["eval_metric"] = native
    callbacks: list[Any] = [Printer()]
    if "early_stopping_rounds" in parameters:
        metric = (wanted or [None])[-1]
        callbacks.append(
            xgboost.callback.EarlyStopping(
                rounds=parameters["early_stopping_rounds"],
                metric_name=metric,
                data_name="validation" if "validation" in sets else "train",
                maximize=metric.partition("@")[0].startswith(MAXIMIZED) if metric else None,
                save_best=True,
            )
        )
    return xgboost.train(
        settings,
        sets["train"],
        num_boost_round=parameters["num_round"],
        evals=[(matrix, name) for name, matrix in sets.items()],
        custom_metric=custom_metric(custom, parameters) if custom else None,
        callbacks=callbacks,
        verbose_eval=False,
    )


def main() -> int:
    """The exit code; what went wrong goes to ``output/failure``, where SageMaker looks for it."""
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    try:
        train(base)
    except Exception as error:
        traceback.print_exc()
        kind = "UserError" if isinstance(error, UserError) else type(error).__name__
        (base / "output/failure").write_text(f"framework error: {kind}: {str(error)[:800]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
