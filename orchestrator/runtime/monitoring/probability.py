"""Tail probabilities of the tests, and the control of testing many features at once. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence

EPSILON = 1e-16
TINY = 1e-300
TERMS = 100_000


def chi_square_tail(statistic: float, freedom: int) -> float:
    """The probability that a chi-square variable with this many degrees of freedom is at least the statistic."""
    if statistic <= 0 or freedom <= 0:
        return 1.0
    shape, place = freedom / 2, statistic / 2
    scale = math.exp(-place + shape * math.log(place) - math.lgamma(shape))
    return 1 - scale * _series(shape, place) if place < shape + 1 else scale * _fraction(shape, place)


def _series(shape: float, place: float) -> float:
    """The lower incomplete gamma function by its power series (Abramowitz and Stegun 6.5.29), without the scale."""
    term = total = 1 / shape
    for step in range(1, TERMS):
        term *= place / (shape + step)
        total += term
        if term < total * EPSILON:
            break
    return total


def _fraction(shape: float, place: float) -> float:
    """The upper incomplete gamma function by its continued fraction (A&S 6.5.31, Lentz), without the scale."""
    denominator = place + 1 - shape
    c, d = 1 / TINY, 1 / denominator
    value = d
    for step in range(1, TERMS):
        factor = -step * (step - shape)
        denominator += 2
        d = 1 / (factor * d + denominator or TINY)
        c = denominator + factor / c or TINY
        value *= d * c
        if abs(d * c - 1) < EPSILON * 10:
            break
    return value


def kolmogorov_smirnov_tail(distance: float, first: float, second: float) -> float:
    """The two-sided p-value of a two-sample KS distance for these sample sizes.

    Kolmogorov's limit with Stephens' correction for finite samples (JRSS B 32, 1970); conservative when values tie.
    """
    if distance <= 0 or first <= 0 or second <= 0:
        return 1.0
    root = math.sqrt(first * second / (first + second))
    z = (root + 0.12 + 0.11 / root) * distance
    if z < 0.2:
        return 1.0
    if z < 1.18:  # the other form of the theta function converges fast for small z
        base = math.exp(-(math.pi**2) / (8 * z * z))
        return 1 - math.sqrt(2 * math.pi) / z * sum(math.pow(base, (2 * i - 1) ** 2) for i in range(1, 5))
    return min(1.0, 2 * sum((1 if i % 2 else -1) * math.exp(-2 * i * i * z * z) for i in range(1, 5)))


def more_often_tail(observed: int, of: int, baseline: int, baseline_of: int) -> float:
    """Fisher's exact test, one-sided: the p-value of seeing an event this often, or more often, than the baseline did.

    ``observed`` of ``of`` beside ``baseline`` of ``baseline_of``; given all ``observed + baseline`` events,
    their number in the window is hypergeometric when nothing changed.
    """
    if not of or not baseline_of or observed * baseline_of <= baseline * of:
        return 1.0
    events, everything = observed + baseline, of + baseline_of
    log = _log_choose(events, observed) + _log_choose(everything - events, of - observed) - _log_choose(everything, of)
    term = total = 1.0
    for count in range(observed, min(events, of)):
        term *= (events - count) * (of - count) / ((count + 1) * (everything - events - of + count + 1))
        total += term
        if term < total * EPSILON:
            break
    return min(1.0, math.exp(log) * total) if log > -700 else math.exp(max(log + math.log(total), -745.0))


def _log_choose(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: rejecting those at most alpha keeps the chance of any false alarm at most alpha.

    Holm's step-down procedure (Scand. J. Statist. 6, 1979); needs no independence between the tests.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, running = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = running
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: rejecting those at most alpha keeps the expected share of false ones at most alpha.

    Benjamini and Hochberg, JRSS B 57, 1995; for independent or positively dependent tests.
    """
    order = sorted(range(len(p_values)), key=lambda index: -p_values[index])
    adjusted, running = [1.0] * len(p_values), 1.0
    for place, index in enumerate(order):
        running = min(running, p_values[index] * len(p_values) / (len(p_values) - place))
        adjusted[index] = running
    return adjusted
