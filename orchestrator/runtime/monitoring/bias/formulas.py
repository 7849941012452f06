"""SageMaker Clarify's bias metrics in closed form, on counts.

The counts of one facet are an array of shape ``(..., 2, 3, 3)``: facet (0 everybody else, Clarify's *a*; 1 the facet,
*d*), label and predicted label (0 negative, 1 positive, 2 there is none). Leading axes are as many tables as one likes:
the window, its bootstrap samples, its permutations. A metric that is not defined for a table is NaN; a quotient whose
denominator only is zero is infinite, and 0/0 is 0, as in Clarify's open library.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-measure-data-bias.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-measure-post-training-bias.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
REST, FACET = 0, 1
NEGATIVE, POSITIVE, ABSENT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its short name and description (Clarify's), and when it is computed.

    ``grouped``: it needs the counts of each group (shape ``(..., groups, 2, 3, 3)``). ``formula`` is None for the flip
    test, which counts cannot give. ``reads``: which of label and prediction (axes -2, -1) its rows must have.
    """

    name: str
    description: str
    formula: Callable[[Numbers], Numbers] | None
    trained: bool = False
    grouped: bool = False
    reads: tuple[bool, bool] = (True, False)


def quotient(above: Numbers, below: Numbers) -> Numbers:
    """``above / below`` of numbers that are not negative: 0 where both are 0, infinite where only ``below`` is."""
    empty = below == 0
    found = np.divide(above, np.where(empty, 1.0, below))
    return np.where(empty, np.where(above == 0, 0.0, np.inf), found)


def _gap(first: Numbers, second: Numbers) -> Numbers:
    """The difference; 0 where both are infinite."""
    same = np.isinf(first) & np.isinf(second)
    apart: Numbers = np.subtract(first, second, where=~same, out=np.zeros(first.shape))
    return apart


def _both(counts: Numbers, value: Numbers) -> Numbers:
    """The value, NaN where the facet or everybody else has no rows. ``counts`` has the facet as its last axis."""
    return np.where((counts > 0).all(axis=-1), value, np.nan)


def _labels(table: Numbers) -> Numbers:
    """Rows by facet and label, whatever was predicted."""
    found: Numbers = table[..., :ABSENT, :].sum(axis=-1)
    return found


def _predictions(table: Numbers) -> Numbers:
    """Rows by facet and predicted label, whatever the label."""
    found: Numbers = table[..., :ABSENT].sum(axis=-2)
    return found


def _positive_shares(outcomes: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The share of positive outcomes of everybody else and of the facet, and the rows by facet."""
    rows = outcomes.sum(axis=-1)
    shares = outcomes[..., POSITIVE] / np.where(rows == 0, 1.0, rows)
    return shares[..., REST], shares[..., FACET], rows


def _difference(outcomes: Numbers) -> Numbers:
    rest, facet, rows = _positive_shares(outcomes)
    return _both(rows, rest - facet)


def class_imbalance(table: Numbers) -> Numbers:
    """(n_a - n_d) / (n_a + n_d)."""
    rows = table.sum(axis=(-1, -2))
    return _both(rows, (rows[..., REST] - rows[..., FACET]) / np.maximum(rows.sum(axis=-1), 1.0))


def label_difference(table: Numbers) -> Numbers:
    """Positive labels: share of everybody else less share of the facet."""
    return _difference(_labels(table))


def prediction_difference(table: Numbers) -> Numbers:
    """The same of predicted labels."""
    return _difference(_predictions(table))


def _distributions(table: Numbers) -> tuple[Numbers, Numbers, Flags]:
    """Label shares of everybody else and of the facet, and where both are more than zero.

    Clarify's library compares only labels that both have; where there is none, nothing is defined.
    """
    outcomes = _labels(table)
    rows = outcomes.sum(axis=-1, keepdims=True)
    shares = outcomes / np.where(rows == 0, 1.0, rows)
    rest, facet = shares[..., REST, :], shares[..., FACET, :]
    return rest, facet, (rest > 0) & (facet > 0)


def _divergence(first: Numbers, second: Numbers, common: Flags) -> Numbers:
    ratio = np.where(common, first, 1.0) / np.where(common, second, 1.0)
    return np.asarray(np.where(common, first * np.log(ratio), 0.0).sum(axis=-1))


def _defined(common: Flags, value: Numbers) -> Numbers:
    return np.where(common.any(axis=-1), value, np.nan)


def kullback_leibler(table: Numbers) -> Numbers:
    """Sum of P_a log(P_a / P_d), natural logarithm."""
    rest, facet, common = _distributions(table)
    return _defined(common, _divergence(rest, facet, common))


def jensen_shannon(table: Numbers) -> Numbers:
    """Mean divergence of P_a and P_d from their average."""
    rest, facet, common = _distributions(table)
    middle = (rest + facet) / 2
    both = _divergence(rest, middle, common) + _divergence(facet, middle, common)
    return _defined(common, both / 2)


def _norm(order: float) -> Callable[[Numbers], Numbers]:
    def formula(table: Numbers) -> Numbers:
        rest, facet, common = _distributions(table)
        apart = np.where(common, np.abs(rest - facet), 0.0)
        if order == 1:
            length = apart.sum(axis=-1) / 2
        else:
            length = apart.max(axis=-1) if order == np.inf else np.sqrt((apart**2).sum(axis=-1))
        return _defined(common, length)

    return formula


def disparate_impact(table: Numbers) -> Numbers:
    """The facet's share of positive predictions over that of everybody else."""
    rest, facet, rows = _positive_shares(_predictions(table))
    return _both(rows, quotient(facet, rest))


def _judged(table: Numbers) -> Numbers:
    """Rows with label and prediction: shape (..., facet, label, prediction)."""
    return table[..., :ABSENT, :ABSENT]


def _rates(table: Numbers, rate: Callable[[Numbers], Numbers], *, facet_first: bool = False) -> Numbers:
    """A rate of everybody else less that of the facet, or the other way round."""
    judged = _judged(table)
    found = rate(judged)
    rest, facet = found[..., REST], found[..., FACET]
    value = _gap(facet, rest) if facet_first else _gap(rest, facet)
    return _both(judged.sum(axis=(-1, -2)), value)


def conditional_acceptance(table: Numbers) -> Numbers:
    """Observed over predicted positives, everybody else less the facet."""
    return _rates(table, lambda rows: quotient(rows[..., 1, :].sum(axis=-1), rows[..., :, 1].sum(axis=-1)))


def conditional_rejection(table: Numbers) -> Numbers:
    """Observed over predicted negatives, the facet less everybody else."""
    return _rates(
        table, lambda rows: quotient(rows[..., 0, :].sum(axis=-1), rows[..., :, 0].sum(axis=-1)), facet_first=True
    )


def accuracy_difference(table: Numbers) -> Numbers:
    """Share of right predictions, everybody else less the facet."""
    return _rates(table, lambda rows: quotient(rows[..., 0, 0] + rows[..., 1, 1], rows.sum(axis=(-1, -2))))


def recall_difference(table: Numbers) -> Numbers:
    """Share of positives found, everybody else less the facet."""
    return _rates(table, lambda rows: quotient(rows[..., 1, 1], rows[..., 1, :].sum(axis=-1)))


def specificity_difference(table: Numbers) -> Numbers:
    """Share of negatives found, the facet less everybody else."""
    return _rates(table, lambda rows: quotient(rows[..., 0, 0], rows[..., 0, :].sum(axis=-1)), facet_first=True)


def acceptance_difference(table: Numbers) -> Numbers:
    """Share of predicted positives that are, everybody else less the facet."""
    return _rates(table, lambda rows: quotient(rows[..., 1, 1], rows[..., :, 1].sum(axis=-1)))


def rejection_difference(table: Numbers) -> Numbers:
    """Share of predicted negatives that are, the facet less everybody else."""
    return _rates(table, lambda rows: quotient(rows[..., 0, 0], rows[..., :, 0].sum(axis=-1)), facet_first=True)


def treatment_equality(table: Numbers) -> Numbers:
    """False negatives over false positives, the facet less everybody else."""
    return _rates(table, lambda rows: quotient(rows[..., 1, 0], rows[..., 0, 1]), facet_first=True)


def generalized_entropy(table: Numbers) -> Numbers:
    """Half the squared coefficient of variation of the benefits ``predicted - label + 1`` of all rows."""
    rows = _judged(table).sum(axis=-3)
    total = rows.sum(axis=(-1, -2))
    safe = np.where(total == 0, 1.0, total)
    mean = (rows[..., 0, 0] + rows[..., 1, 1] + 2 * rows[..., 0, 1]) / safe
    squares = (rows[..., 0, 0] + rows[..., 1, 1] + 4 * rows[..., 0, 1]) / safe
    known = mean > 0
    return np.where(known, (squares / np.where(known, mean, 1.0) ** 2 - 1) / 2, np.nan)


def _disparity(outcomes: Numbers) -> Numbers:
    """Conditional demographic disparity. ``outcomes`` has shape (..., groups, facet, outcome)."""
    by_outcome = outcomes.sum(axis=-2)
    facet = outcomes[..., FACET, :]
    shares = facet / np.where(by_outcome == 0, 1.0, by_outcome)
    rows = by_outcome.sum(axis=-1)
    total = rows.sum(axis=-1)
    value = (rows * (shares[..., NEGATIVE] - shares[..., POSITIVE])).sum(axis=-1) / np.where(total == 0, 1.0, total)
    return np.where((by_outcome.sum(axis=-2) > 0).all(axis=-1), value, np.nan)


def label_disparity(groups: Numbers) -> Numbers:
    """The facet's share of negative labels less its share of positive ones, averaged over the groups by their rows."""
    return _disparity(_labels(groups))


def prediction_disparity(groups: Numbers) -> Numbers:
    """The same of predicted labels."""
    return _disparity(_predictions(groups))


PREDICTED, BOTH, ANY = (False, True), (True, True), (False, False)
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("CDDL", "Conditional Demographic Disparity in Labels (CDDL)", label_disparity, grouped=True),
        Metric("CI", "Class Imbalance (CI)", class_imbalance, reads=ANY),
        Metric("DPL", "Difference in Positive Proportions in Labels (DPL)", label_difference),
        Metric("JS", "Jensen-Shannon Divergence (JS)", jensen_shannon),
        Metric("KL", "Kullback-Liebler Divergence (KL)", kullback_leibler),
        Metric("KS", "Kolmogorov-Smirnov Distance (KS)", _norm(np.inf)),
        Metric("LP", "L-p Norm (LP)", _norm(2)),
        Metric("TVD", "Total Variation Distance (TVD)", _norm(1)),
        Metric("AD", "Accuracy Difference (AD)", accuracy_difference, True, reads=BOTH),
        Metric("CDDPL", "Conditional Demographic Disparity in Predicted Labels (CDDPL)", prediction_disparity, True,
               grouped=True, reads=PREDICTED),
        Metric("DAR", "Difference in Acceptance Rates (DAR)", acceptance_difference, True, reads=BOTH),
        Metric("DCA", "Difference in Conditional Acceptance (DCA)", conditional_acceptance, True, reads=BOTH),
        Metric("DCR", "Difference in Conditional Rejection (DCR)", conditional_rejection, True, reads=BOTH),
        Metric("DI", "Disparate Impact (DI)", disparate_impact, True, reads=PREDICTED),
        Metric("DPPL", "Difference in Positive Proportions in Predicted Labels (DPPL)", prediction_difference, True,
               reads=PREDICTED),
        Metric("DRR", "Difference in Rejection Rates (DRR)", rejection_difference, True, reads=BOTH),
        Metric("FT", "Flip Test (FT)", None, True, reads=PREDICTED),
        Metric("GE", "Generalized Entropy (GE)", generalized_entropy, True, reads=BOTH),
        Metric("RD", "Recall Difference (RD)", recall_difference, True, reads=BOTH),
        Metric("SD", "Specificity Difference (SD)", specificity_difference, True, reads=BOTH),
        Metric("TE", "Treatment Equality (TE)", treatment_equality, True, reads=BOTH),
    )
}  # fmt: skip
"""Every metric by its name: those of the data first, then those of a trained model, each in order of names."""


def unfairness(name: str, value: Numbers) -> Numbers:
    """How far a metric is from saying that nobody is treated worse: 0 is parity, for every metric.

    The distance from 0; for DI, whose parity is 1 and where 1/2 and 2 are equally far from it, ``1 - min(DI, 1/DI)``.
    """
    if name != "DI":
        return np.abs(value)
    size = np.abs(value)
    with np.errstate(divide="ignore"):
        return np.asarray(1 - np.minimum(size, np.where(size == 0, np.inf, 1 / size)), dtype=np.float64)
