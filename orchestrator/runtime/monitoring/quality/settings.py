"""The settings of model quality: what kind of problem it is, and where predictions and labels are to be found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.runtime.monitoring.attributes import attribute
from orchestrator.runtime.monitoring.failures import InputUnreadable

DEFAULT_THRESHOLD = 0.5


class Problem(StrEnum):
    """What the model does; the values are SageMaker's."""

    REGRESSION = "Regression"
    BINARY = "BinaryClassification"
    MULTICLASS = "MulticlassClassification"


MEMBERS = (
    "problem_type", "baseline_prediction", "baseline_probability", "baseline_ground_truth", "prediction_attribute",
    "probability_attribute", "probability_threshold", "positive_label",
)  # fmt: skip
BINARY_ONLY = ("baseline_probability", "probability_attribute", "probability_threshold", "positive_label")


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``definition.json`` says under ``settings``.

    ``baseline_*`` are column names of the baseline; ``*_attribute`` say where the captured answers hold prediction
    and probability (see ``attributes``). With a probability and no prediction, or with a ``probability_threshold``,
    a row is predicted positive when its probability is greater than the threshold (0.5 unless given). Labels of
    binary problems are 0 and 1, or the like; others need ``positive_label``: every other label is negative.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelQualityAppSpecification.html
    """

    problem: Problem
    baseline_ground_truth: str
    baseline_prediction: str = ""
    baseline_probability: str = ""
    prediction_attribute: str = ""
    probability_attribute: str = ""
    probability_threshold: float | None = None
    positive_label: str = ""

    @property
    def threshold(self) -> float:
        """The probability above which a row is positive."""
        return DEFAULT_THRESHOLD if self.probability_threshold is None else self.probability_threshold

    def thresholded(self, *, captured: bool) -> bool:
        """Whether predictions are made from probabilities: of the captured answers, or of the baseline."""
        prediction = self.prediction_attribute if captured else self.baseline_prediction
        probability = self.probability_attribute if captured else self.baseline_probability
        return bool(probability) and (not prediction or (captured and self.probability_threshold is not None))

    @classmethod
    def of(cls, document: Mapping[str, Any], *, captured: bool = False) -> Settings:
        """The settings of a document; ``captured``: for answers of an endpoint, so that attributes are needed.

        Raises InputUnreadable that names everything that is wrong.
        """
        given = {name: value for name, value in document.items() if value is not None and value != ""}
        wrong = [f"there is no setting {name}" for name in sorted(set(given) - set(MEMBERS))]
        kinds = ", ".join(Problem)
        problem = given.get("problem_type")
        if problem not in set(Problem):
            wrong.append(f"problem_type must be one of {kinds}, not {problem!r}")
        elif problem != Problem.BINARY:
            wrong += [f"{name} is for {Problem.BINARY.value} only" for name in BINARY_ONLY if name in given]
        wrong += _places(given, captured=captured)
        threshold = _threshold(given, wrong)
        if wrong:
            raise InputUnreadable(
                f"The settings of model quality are wrong: {'; '.join(wrong)}.", hint=f"They are: {', '.join(MEMBERS)}."
            )
        texts = {name: str(given.get(name, "")) for name in MEMBERS[1:] if name != "probability_threshold"}
        return cls(Problem(str(problem)), probability_threshold=threshold, **texts)


def _places(given: Mapping[str, Any], *, captured: bool) -> list[str]:
    """What is wrong with the columns and attributes."""
    wrong = []
    if "baseline_ground_truth" not in given:
        wrong.append("baseline_ground_truth (the baseline's column of labels) is missing")
    if "baseline_prediction" not in given and "baseline_probability" not in given:
        wrong.append("baseline_prediction (the baseline's column of predictions) is missing")
    if captured and "prediction_attribute" not in given and "probability_attribute" not in given:
        wrong.append("prediction_attribute (where an answer holds the prediction) is missing")
    for name in ("prediction_attribute", "probability_attribute"):
        if name in given:
            try:
                attribute(str(given[name]))
            except InputUnreadable as error:
                wrong.append(f"{name}: {error.message}")
    return wrong


def _threshold(given: Mapping[str, Any], wrong: list[str]) -> float | None:
    value = given.get("probability_threshold")
    if value is None:
        return None
    try:
        number = float(str(value)) if not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        wrong.append(f"probability_threshold must be between 0 and 1, not {value!r}")
    elif "probability_attribute" not in given and "baseline_probability" not in given:
        wrong.append("probability_threshold needs probability_attribute")
    return number
