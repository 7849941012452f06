"""The hyperparameters of SageMaker's XGBoost: names, types, ranges, and what must go together."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.runtime.training.metrics import XGBOOST_METRICS


class UserError(Exception):
    """The job was asked for something the algorithm does not do; the user can put it right."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two ends; a bracket as in mathematics: ``[`` with the end, ``(`` without it."""

    text: str
    integer: bool = False

    def parse(self, value: str) -> int | float:
        """The number; raises ValueError when it is none."""
        return int(value) if self.integer else float(value)

    def __contains__(self, number: object) -> bool:
        assert isinstance(number, (int, float))
        low, high = (float(end) for end in self.text[1:-1].split(","))
        above = number >= low if self.text[0] == "[" else number > low
        below = number <= high if self.text[-1] == "]" else number < high
        return above and below


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: Collection[str]

    def parse(self, value: str) -> str:
        """The word itself."""
        return value

    def __contains__(self, word: object) -> bool:
        return word in self.words

    @property
    def text(self) -> str:
        """The words, for a message."""
        return f"[{', '.join(sorted(self.words))}]"


def integers(text: str) -> Range:
    """A range of whole numbers."""
    return Range(text, integer=True)


def choice(words: str) -> Choice:
    """A choice of words."""
    return Choice(tuple(words.split()))


OBJECTIVES = choice(
    "binary:logistic binary:logitraw binary:hinge count:poisson multi:softmax multi:softprob rank:pairwise rank:ndcg"
    " rank:map reg:absoluteerror reg:linear reg:squarederror reg:logistic reg:gamma reg:pseudohubererror"
    " reg:squaredlogerror reg:tweedie survival:aft survival:cox aft_loss_distribution"
)
UNIT = Range("[0,1]")
PART = Range("(0,1]")
POSITIVE = Range("[0,inf)")
SWITCH = integers("[0,1]")
FLAG = choice("true false")

SIMPLE: Mapping[str, Range | Choice] = {
    "num_round": integers("[1,inf)"),
    "csv_weights": SWITCH,
    "early_stopping_rounds": integers("[1,inf)"),
    "booster": choice("gbtree gblinear dart"),
    "verbosity": integers("[0,3]"),
    "nthread": integers("[1,inf)"),
    "eta": UNIT,
    "gamma": POSITIVE,
    "max_depth": integers("[0,inf)"),
    "min_child_weight": POSITIVE,
    "max_delta_step": POSITIVE,
    "subsample": PART,
    "colsample_bytree": PART,
    "colsample_bylevel": PART,
    "colsample_bynode": PART,
    "lambda": POSITIVE,
    "alpha": POSITIVE,
    "tree_method": choice("auto exact approx hist gpu_hist"),
    "sketch_eps": Range("(0,1)"),
    "scale_pos_weight": Range("(0,inf)"),
    "dsplit": choice("row col"),
    "refresh_leaf": SWITCH,
    "process_type": choice("default update"),
    "grow_policy": choice("depthwise lossguide"),
    "max_leaves": integers("[0,inf)"),
    "max_bin": integers("[0,inf)"),
    "predictor": choice("auto cpu_predictor gpu_predictor"),
    "sample_type": choice("uniform weighted"),
    "normalize_type": choice("tree forest"),
    "rate_drop": UNIT,
    "one_drop": SWITCH,
    "skip_drop": UNIT,
    "lambda_bias": UNIT,
    "tweedie_variance_power": Range("(1,2)"),
    "huber_slope": POSITIVE,
    "objective": OBJECTIVES,
    "num_class": integers("[2,inf)"),
    "base_score": POSITIVE,
    "_kfold": integers("[2,inf)"),
    "_num_cv_round": integers("[1,inf)"),
    "_tuning_objective_metric": Choice([f"validation:{metric}" for metric in XGBOOST_METRICS]),
    "seed": integers("(-2147483648,2147483647)"),
    "num_parallel_tree": integers("[1,inf)"),
    "save_model_on_termination": FLAG,
    "aft_loss_distribution": choice("normal logistic extreme"),
    "aft_loss_distribution_scale": Range("(0,inf)"),
    "deterministic_histogram": FLAG,
    "sampling_method": choice("uniform gradient_based"),
    "use_dask_gpu_training": FLAG,
}
ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}
LISTS = {"updater", "eval_metric", "monotone_constraints", "interaction_constraints"}
NOT_HERE = {
    "_kfold": "cross validation",
    "_num_cv_round": "cross validation",
    "dsplit": "distributed training",
    "save_model_on_termination": "saving the model of every round",
}
"""Known to the algorithm but not done by a local job: refused rather than left out."""
THRESHOLD_METRICS = {"error", "ndcg", "map"}


def validate(given: Mapping[str, str]) -> dict[str, Any]:
    """The hyperparameters with their types, or UserError for the first that is missing, unknown or out of range."""
    named = {ALIASES.get(name, name): value for name, value in given.items()}
    if "num_round" not in named:
        raise UserError("Missing required hyperparameter: num_round")
    parsed = {name: _one(name, value) for name, value in named.items()}
    for rule in RULES:
        rule(parsed)
    return parsed


def _one(name: str, value: str) -> Any:
    if name not in SIMPLE and name not in LISTS:
        raise UserError(f"Extraneous hyperparameter found: {name}")
    if name in NOT_HERE and (name, value) != ("save_model_on_termination", "false"):
        raise UserError(f"Hyperparameter {name}: {NOT_HERE[name]} is not available on the embedded AWS")
    if value == "gpu_hist" or (name, value) in (("use_dask_gpu_training", "true"), ("predictor", "gpu_predictor")):
        raise UserError(f"Hyperparameter {name}: {value} needs a GPU; this machine trains on the CPU")
    try:
        if name in LISTS:
            return _list(name, value)
        parsed = SIMPLE[name].parse(value)
    except (ValueError, SyntaxError) as error:
        raise UserError(f"Hyperparameter {name}: could not parse value (caused by {type(error).__name__})") from error
    if parsed not in SIMPLE[name]:
        raise UserError(f"Hyperparameter {name}: {parsed} is not in {SIMPLE[name].text}")
    return parsed


def _list(name: str, value: str) -> Any:
    if name.endswith("_constraints"):
        return ast.literal_eval(value)
    items = [item.strip() for item in value.split(",")]
    if name == "eval_metric":
        for metric in items:
            stem, _, threshold = metric.partition("@")
            if stem not in XGBOOST_METRICS or (threshold and stem not in THRESHOLD_METRICS):
                raise UserError(f"Hyperparameter eval_metric: value {items} not in range {XGBOOST_METRICS}")
    return items


def _classes(parsed: Mapping[str, Any]) -> None:
    multi = str(parsed.get("objective", "")).startswith("multi:")
    if multi and "num_class" not in parsed:
        raise UserError("Require input for parameter 'num_class' for multi-classification")
    if "num_class" in parsed and not multi:
        raise UserError("Do not need to setup parameter 'num_class' for learning task other than multi-classification.")


def _metric_fits(parsed: Mapping[str, Any]) -> None:
    metrics, objective = parsed.get("eval_metric", []), str(parsed.get("objective", "reg:squarederror"))
    if "auc" in metrics and not objective.startswith(("binary:", "rank:", "multi:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _constraints_fit(parsed: Mapping[str, Any]) -> None:
    for name, methods in (
        ("monotone_constraints", ("exact", "hist")),
        ("interaction_constraints", ("exact", "hist", "approx")),
    ):
        if name in parsed and parsed.get("tree_method") not in methods:
            raise UserError(f"{name} can be used only when the tree_method parameter is set to one of {methods}.")


RULES: tuple[Callable[[Mapping[str, Any]], None], ...] = (_classes, _metric_fits, _constraints_fit)
