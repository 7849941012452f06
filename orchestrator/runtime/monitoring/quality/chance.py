"""Confidence intervals and tail probabilities of the metrics. Standard library only."""

from __future__ import annotations

import math
from statistics import NormalDist

EPSILON = 1e-15
TERMS = 10_000
NORMAL = NormalDist()
Interval = tuple[float, float]


def deviations(confidence: float) -> float:
    """How many standard errors to each side hold this share of a normal distribution."""
    return NORMAL.inv_cdf(0.5 + confidence / 2)


def wilson(count: float, of: float, confidence: float) -> Interval:
    """Wilson's score interval of a share (JASA 22, 1927): right also for few rows and for shares of 0 and 1."""
    z = deviations(confidence)
    share, scale = count / of, 1 + z * z / of
    middle = (share + z * z / (2 * of)) / scale
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / scale
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def logit_interval(value: float, error: float, of: float, confidence: float) -> Interval:
    """The interval of a value between 0 and 1 with this standard error, symmetric in its logit.

    Values without a spread to judge by (0, 1, or no error) get Wilson's interval for ``of`` rows.
    """
    if not 0 < value < 1 or error <= 0:
        return wilson(value * of, of, confidence)
    half = deviations(confidence) * error / (value * (1 - value))
    return expit(logit(value) - half), expit(logit(value) + half)


def logit(value: float) -> float:
    """The logarithm of the odds."""
    return math.log(value / (1 - value))


def expit(value: float) -> float:
    """The inverse of ``logit``."""
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def normal_tail(z: float) -> float:
    """The probability that a normal variable is at least ``z``."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def student_tail(t: float, freedom: float) -> float:
    """The probability that Student's t with these degrees of freedom is at least ``t``."""
    if freedom > 1e6:
        return normal_tail(t)
    half = 0.5 * _beta_share(freedom / (freedom + t * t), freedom / 2, 0.5)
    return half if t >= 0 else 1 - half


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, TERMS):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + factor * d)
            c = 1 + factor / c
            value *= c * d
        if abs(c * d - 1) < EPSILON:
            break
    return front * value


def binomial_tail(count: int, of: int, share: float) -> float:
    """The probability of an event of this share occurring ``count`` times or more in ``of``; exact.

    1 where it occurs no more often than expected: only an excess is of interest.
    """
    if count <= of * share:
        return 1.0
    if share <= 0:
        return 0.0
    log = (
        math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
        + count * math.log(share) + (of - count) * math.log1p(-share)
    )  # fmt: skip
    term = total = 1.0
    for k in range(count, of):
        term *= (of - k) / (k + 1) * share / (1 - share)
        total += term
        if term < total * EPSILON:
            break
    return min(1.0, math.exp(max(log + math.log(total), -745.0)))


def welch_tail(difference: float, first: float, first_of: float, second: float = 0.0, second_of: float = 0.0) -> float:
    """Welch's one-sided test: how often chance alone makes the first exceed the second by as much.

    ``first`` and ``second`` are standard errors, ``..._of`` the rows behind them; without a second, Student's test.
    """
    variance = first**2 + second**2
    if difference <= 0:
        return 1.0
    if variance <= 0:
        return 0.0
    spread = first**4 / max(1.0, first_of - 1)
    spread += second**4 / max(1.0, second_of - 1) if second else 0.0
    return student_tail(difference / math.sqrt(variance), variance**2 / spread if spread else 1e9)


def together(first: float, first_of: float, second: float, second_of: float) -> float:
    """The standard error of a difference when nothing has changed: the larger of two ways to estimate it.

    Each side's own error, as Welch does; and one spread for the rows of both sides. Of skewed values, a small sample
    that happens to lack the large ones underrates its own error, and the other side's rows make up for that.
    """
    own = first**2 + second**2
    if not first_of or not second_of or not second:
        return math.sqrt(own)
    spread = (first**2 * first_of**2 + second**2 * second_of**2) / (first_of + second_of)
    return math.sqrt(max(own, spread * (1 / first_of + 1 / second_of)))
