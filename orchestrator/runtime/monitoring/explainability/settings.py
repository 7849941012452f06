"""What an explainability monitor is told.

``shap_config`` has arguments of the SageMaker SDK's SHAPConfig.

Source: https://sagemaker.readthedocs.io/en/stable/api/training/processing.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from orchestrator.runtime.monitoring.failures import refuse, strange

CHAPTER = "Explainability"
PROBLEMS = ("BinaryClassification", "MulticlassClassification", "Regression")
SETTINGS = (
    "problem_type", "label", "shap_config", "model_scores", "features_attribute", "prediction_attribute",
    "probability_attribute", "probability_threshold", "content_type", "accept_type", "model_file",
)  # fmt: skip
SHAP = ("baseline", "num_samples", "agg_method", "use_logit", "save_local_shap_values", "seed")
SCORES = ("label", "probability", "probability_threshold", "label_headers")
AGGREGATIONS = ("mean_abs", "median", "mean_sq")
Rows = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class ShapSettings:
    """What is explained and how. ``background``: rows, or a CSV of them, or None (made of the baseline's data);
    ``samples`` 0: chosen by the number of features. ``headers`` are the names of the model's outputs."""

    label: str = ""
    background: Rows | Path | None = None
    samples: int = 0
    aggregation: str = "mean_abs"
    logit: bool = False
    local: bool = False
    seed: int = 0
    headers: tuple[str, ...] = ()
    features_attribute: str = ""
    model_file: Path | None = None

    @property
    def method(self) -> str:
        """What Clarify's files call the explanations."""
        return "tree_shap" if self.model_file else "kernel_shap"


@dataclass(frozen=True, slots=True)
class ShapPolicy:
    """When a ranking has drifted. ``ndcg``: below this (Clarify's threshold), and by more than chance explains at
    ``alpha``. ``rows`` are explained, of the baseline and of each window; fewer than ``least_rows`` are not compared.
    ``model_rows``: what the model is asked about at most."""

    alpha: float = 0.01
    ndcg: float = 0.9
    rows: int = 200
    least_rows: int = 30
    model_rows: int = 500_000

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ShapPolicy:
        """The policy with these members. Raises InputUnreadable for one that is not allowed."""
        known = [each.name for each in fields(cls)]
        problems = strange("policy", document, known)
        bounds = {"alpha": (1e-4, 0.5), "ndcg": (0.0, 1.0), "rows": (2, 10_000), "least_rows": (2, 10_000),
                  "model_rows": (1_000, 100_000_000)}  # fmt: skip
        for name, value in document.items():
            if name in bounds:
                low, high = bounds[name]
                right = isinstance(value, int) if name.endswith("rows") else isinstance(value, int | float)
                if isinstance(value, bool) or not right or not low <= value <= high:
                    kind = "whole number" if name.endswith("rows") else "number"
                    problems.append(f"policy.{name} must be a {kind} between {low:g} and {high:g}, not {value!r}.")
        refuse(problems, CHAPTER)
        return cls(**document)


def settings_of(settings: Mapping[str, Any]) -> ShapSettings:
    """The settings as values. Raises InputUnreadable that names everything that is wrong."""
    problems = strange("settings", settings, SETTINGS)
    problem = settings.get("problem_type") or ""
    if problem and problem not in PROBLEMS:
        problems.append(f"problem_type {problem!r} is none of {', '.join(PROBLEMS)}.")
    config = settings.get("shap_config") or {}
    if not isinstance(config, Mapping):
        problems.append(f"shap_config must be an object, not {config!r}.")
        config = {}
    problems += strange("shap_config", config, SHAP)
    file = settings.get("model_file") or ""
    for name, text in (("model_file", file), ("label", settings.get("label") or ""),
                       ("features_attribute", settings.get("features_attribute") or "")):  # fmt: skip
        if not isinstance(text, str):
            problems.append(f"{name} must be a text, not {text!r}.")
    if file and any(config.get(name) for name in ("baseline", "num_samples", "use_logit")):
        problems.append("With a model_file the values are exact and in the model's own margin: leave baseline, "
                        "num_samples and use_logit out of shap_config.")  # fmt: skip
    found = ShapSettings(
        label=str(settings.get("label") or ""),
        background=_background(config.get("baseline"), problems),
        samples=_whole("num_samples", config.get("num_samples"), problems, least=1),
        aggregation=str(config.get("agg_method") or "mean_abs"),
        logit=_truth("use_logit", config.get("use_logit"), problems),
        local=_truth("save_local_shap_values", config.get("save_local_shap_values"), problems),
        seed=_whole("seed", config.get("seed"), problems, least=0),
        headers=_headers(settings.get("model_scores"), problems),
        features_attribute=str(settings.get("features_attribute") or ""),
        model_file=Path(str(file)) if file else None,
    )
    if found.aggregation not in AGGREGATIONS:
        problems.append(f"shap_config.agg_method {found.aggregation!r} is none of {', '.join(AGGREGATIONS)}.")
    refuse(problems, CHAPTER)
    return found


def _background(given: Any, problems: list[str]) -> Rows | Path | None:
    if given in (None, "", []):
        return None
    if isinstance(given, str):
        return Path(given)
    right = isinstance(given, list) and all(isinstance(row, list) and row for row in given)
    if not right or len({len(row) for row in given}) > 1:
        problems.append("shap_config.baseline must be a list of rows of the same length, or the path of a CSV file.")
        return None
    wrong = [value for row in given for value in row if isinstance(value, list | dict)]
    if wrong:
        problems.append(f"shap_config.baseline must hold values, not {wrong[0]!r}.")
    return tuple(tuple(row) for row in given)


def _whole(name: str, given: Any, problems: list[str], *, least: int) -> int:
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        problems.append(f"shap_config.{name} must be a whole number from {least}, not {given!r}.")
        return 0
    return given


def _truth(name: str, given: Any, problems: list[str]) -> bool:
    if given is not None and not isinstance(given, bool):
        problems.append(f"shap_config.{name} must be true or false, not {given!r}.")
    return given is True


def _headers(given: Any, problems: list[str]) -> tuple[str, ...]:
    """The names of the outputs; where the scores lie in an answer is the concern of who asks the model."""
    if not isinstance(given, Mapping):
        if isinstance(given, bool | list) or (isinstance(given, float) and not math.isfinite(given)):
            problems.append(f"model_scores must be a place, a JSONPath or an object, not {given!r}.")
        return ()
    problems += strange("model_scores", given, SCORES)
    headers = given.get("label_headers") or []
    if not isinstance(headers, list) or any(isinstance(each, list | dict) for each in headers):
        problems.append(f"model_scores.label_headers must be a list of labels, not {headers!r}.")
        return ()
    return tuple(str(each) for each in headers)
