"""What a bias monitor is told: the label, the facets, the groups, and where the prediction is found.

``bias_config`` has the arguments of the SageMaker SDK's BiasConfig, ``predicted_label_config`` those of its
ModelPredictedLabelConfig.

Source: https://sagemaker.readthedocs.io/en/stable/api/training/processing.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from orchestrator.runtime.monitoring.attributes import attribute
from orchestrator.runtime.monitoring.failures import InputUnreadable, refuse, strange

CHAPTER = "Bias"
PROBLEMS = ("BinaryClassification", "MulticlassClassification", "Regression")
SETTINGS = (
    "problem_type", "label", "bias_config", "predicted_label_config", "prediction_attribute", "probability_attribute",
    "probability_threshold", "features_attribute", "baseline_prediction", "baseline_probability", "content_type",
    "accept_type", "model_scores",
)  # fmt: skip
BIAS_CONFIG = ("label_values_or_threshold", "facet_name", "facet_values_or_threshold", "group_name")
PREDICTED_LABEL = ("label", "probability", "probability_threshold", "label_headers")
THRESHOLD = 0.5
"""The probability above which the answer is yes, where nothing is said (the SDK's)."""
LEAST_ALPHA = 1e-4
PLACE = "#"


@dataclass(frozen=True, slots=True)
class Facet:
    """A column and the values (or the one threshold) that make the group; none: each value by itself."""

    name: str
    values: tuple[str | float, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Where the predicted label is found: at ``label``, or made of ``probability`` (of one class, with its threshold;
    of each of ``headers``, the likeliest). Attributes are written as in ``attributes``; empty: not there."""

    label: str = ""
    probability: str = ""
    threshold: float = THRESHOLD
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BiasSettings:
    """What is compared. ``positive`` are the labels (texts) or the threshold that make a good outcome."""

    facets: tuple[Facet, ...]
    positive: tuple[str, ...] | float
    group: str = ""
    label: str = ""
    problem: str = ""
    answer: Answer = Answer()
    features_attribute: str = ""
    baseline_prediction: str = ""
    baseline_probability: str = ""

    def named(self, columns: Sequence[str]) -> BiasSettings:
        """The settings with facets that were given by their place in the baseline (``#2``) given by their name.

        Raises InputUnreadable when there is no such place.
        """
        found = []
        for facet in self.facets:
            place = facet.name[1:] if facet.name not in columns and facet.name.startswith(PLACE) else ""
            if place.isdigit() and int(place) >= len(columns):
                raise InputUnreadable(f"The facet {place} is no place of a column; there are {len(columns)}.")
            found.append(replace(facet, name=columns[int(place)]) if place.isdigit() else facet)
        return replace(self, facets=tuple(found))

    @property
    def shown_label(self) -> str:
        """Clarify's ``label_value_or_threshold``."""
        return f"({self.positive:g}, +inf)" if isinstance(self.positive, float) else ",".join(self.positive)


@dataclass(frozen=True, slots=True)
class BiasPolicy:
    """When worse is a violation. ``alpha``: the chance of any false alarm in a window without drift.
    ``least_difference``: how much unfairer a metric must be. ``least_rows``: of the facet, and of everybody else, in
    baseline and window. ``seed``: of everything that is drawn."""

    alpha: float = 0.01
    least_difference: float = 0.02
    least_rows: int = 30
    seed: int = 0

    @property
    def draws(self) -> int:
        """How many deals: the p-values are twenty times as fine as ``alpha``."""
        return max(1999, math.ceil(20 / self.alpha) - 1)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> BiasPolicy:
        """The policy with these members. Raises InputUnreadable for one that is not allowed."""
        known = [each.name for each in fields(cls)]
        problems = strange("policy", document, known)
        least = {"alpha": LEAST_ALPHA, "least_difference": 0.0, "least_rows": 1, "seed": 0}
        for name, value in document.items():
            whole = name in ("least_rows", "seed")
            right = isinstance(value, int) if whole else isinstance(value, int | float)
            if name in least and (isinstance(value, bool) or not right or not least[name] <= value < math.inf):
                kind = "whole number" if whole else "number"
                problems.append(f"policy.{name} must be a {kind} from {least[name]:g}, not {value!r}.")
        alpha = document.get("alpha", 0.5)
        if isinstance(alpha, int | float) and alpha >= 1:
            problems.append(f"policy.alpha must be below 1, not {alpha!r}.")
        refuse(problems, CHAPTER)
        return cls(**document)


def text_of(value: Any) -> str:
    """A label or facet value as the text it is compared by: ``1``, ``1.0`` and ``true`` as CSV files write them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else text


def number_of(value: Any) -> float | None:
    """A finite number, written as one or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def settings_of(settings: Mapping[str, Any]) -> BiasSettings:
    """The settings as values. Raises InputUnreadable that names everything that is wrong."""
    problems = strange("settings", settings, SETTINGS)
    problem = str(settings.get("problem_type") or "")
    if problem and problem not in PROBLEMS:
        problems.append(f"problem_type {problem!r} is none of {', '.join(PROBLEMS)}.")
    config = settings.get("bias_config")
    if not isinstance(config, Mapping):
        problems.append("bias_config must be an object with label_values_or_threshold and facet_name.")
        config = {}
    else:
        problems += strange("bias_config", config, BIAS_CONFIG)
    positive = _positive(config.get("label_values_or_threshold"), problem, problems)
    facets = _facets(config, problems)
    group = config.get("group_name") or ""
    if not isinstance(group, str):
        problems.append(f"bias_config.group_name must be the name of a column, not {group!r}.")
    answer = _answer(settings, problem, problems)
    for name in ("label", "features_attribute", "baseline_prediction", "baseline_probability"):
        if not isinstance(settings.get(name) or "", str):
            problems.append(f"{name} must be a text, not {settings[name]!r}.")
    refuse(problems, CHAPTER)
    return BiasSettings(
        facets, positive, str(group), str(settings.get("label") or ""), problem, answer,
        str(settings.get("features_attribute") or ""), str(settings.get("baseline_prediction") or ""),
        str(settings.get("baseline_probability") or ""),
    )  # fmt: skip


def _positive(given: Any, problem: str, problems: list[str]) -> tuple[str, ...] | float:
    wanted = given if isinstance(given, list) else [given]
    if given is None or not wanted or any(isinstance(each, list | dict) or each is None for each in wanted):
        problems.append(
            "bias_config.label_values_or_threshold must list the labels (or the threshold) of a good outcome."
        )
        return ()
    if problem != "Regression":
        if problem == "BinaryClassification" and len(wanted) != 1:
            problems.append("bias_config.label_values_or_threshold must list one label of a binary problem.")
        return tuple(text_of(each) for each in wanted)
    threshold = number_of(wanted[0])
    if len(wanted) != 1 or threshold is None:
        problems.append("bias_config.label_values_or_threshold must be one number of a Regression problem.")
    return threshold or 0.0


def _facets(config: Mapping[str, Any], problems: list[str]) -> tuple[Facet, ...]:
    """Each facet with its values; one facet's may stand by themselves, those of several are a list of lists."""
    names, values = config.get("facet_name"), config.get("facet_values_or_threshold")
    several = isinstance(names, list)
    listed = [f"{PLACE}{name}" if isinstance(name, int) and not isinstance(name, bool) and name >= 0 else name
              for name in (names if isinstance(names, list) else [names])]  # fmt: skip
    if not listed or not all(isinstance(name, str) and name for name in listed):
        problems.append(f"bias_config.facet_name must be the name of a column or a list of them, not {names!r}.")
        return ()
    if len(set(listed)) < len(listed):
        problems.append("bias_config.facet_name names a column twice.")
    if not several:
        values = [values]
    elif values is None:
        values = [None] * len(listed)
    if not isinstance(values, list) or len(values) != len(listed):
        problems.append(
            f"bias_config.facet_values_or_threshold must have a list of values for each of the {len(listed)} facets."
        )
        return ()
    found = []
    for name, each in zip(map(str, listed), values, strict=True):
        part = [] if each is None else each if isinstance(each, list) else [each]
        if any(isinstance(value, list | dict) or value is None for value in part):
            problems.append(f"bias_config.facet_values_or_threshold of {name} must be values, not {part!r}.")
            part = []
        found.append(Facet(name, tuple(value if isinstance(value, str | float) else
                                       text_of(value) if isinstance(value, bool) else float(value)
                                       for value in part)))  # fmt: skip
    return tuple(found)


def _answer(settings: Mapping[str, Any], problem: str, problems: list[str]) -> Answer:
    """Where the prediction is. Attributes for the live endpoint come first, then the predicted label's config; where
    neither says anything but a threshold or headers, the answer is the probability; else it is the label."""
    config = settings.get("predicted_label_config") or {}
    if not isinstance(config, Mapping):
        problems.append(f"predicted_label_config must be an object, not {config!r}.")
        config = {}
    problems += strange("predicted_label_config", config, PREDICTED_LABEL)
    label = _attribute("prediction_attribute", settings.get("prediction_attribute"), problems)
    label = label or _attribute("predicted_label_config.label", config.get("label"), problems)
    probability = _attribute("probability_attribute", settings.get("probability_attribute"), problems)
    probability = probability or _attribute("predicted_label_config.probability", config.get("probability"), problems)
    given = settings.get("probability_threshold")
    given = config.get("probability_threshold") if given in (None, "") else given
    threshold = THRESHOLD if given in (None, "") else number_of(given)
    if threshold is None:
        problems.append(f"probability_threshold must be a number, not {given!r}.")
    headers = config.get("label_headers") or []
    if not isinstance(headers, list) or any(isinstance(each, list | dict) for each in headers):
        problems.append(f"predicted_label_config.label_headers must be a list of labels, not {headers!r}.")
        headers = []
    if not label and not probability:
        if headers or given not in (None, ""):
            probability = "" if headers else "0"
        else:
            label = "0"
    if problem == "Regression" and (headers or probability):
        problems.append("A Regression problem has no probabilities and no label_headers.")
    return Answer(label, probability, threshold or 0.0, tuple(text_of(each) for each in headers))


def _attribute(name: str, given: Any, problems: list[str]) -> str:
    if given in (None, ""):
        return ""
    try:
        return attribute(str(given)).text
    except InputUnreadable as error:
        problems.append(f"{name}: {error.message}")
        return ""
