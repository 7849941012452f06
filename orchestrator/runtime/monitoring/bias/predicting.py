"""The outcome of each row: is its label a good one, and is the predicted one? 0 no, 1 yes, 2 nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from orchestrator.runtime.monitoring.answers import answered, batch_rows
from orchestrator.runtime.monitoring.attributes import Attribute, attribute
from orchestrator.runtime.monitoring.bias.formulas import ABSENT
from orchestrator.runtime.monitoring.bias.settings import Answer, BiasSettings
from orchestrator.runtime.monitoring.calls import LABEL, PREDICTION, PROBABILITY, Wanted, canonical
from orchestrator.runtime.monitoring.columns import Kinds
from orchestrator.runtime.monitoring.failures import InputUnreadable, ModelFailed
from orchestrator.runtime.monitoring.kinds import Predict

OUTCOME, PREDICTED = "@outcome", "@predicted"
SCORE = "@score"


def wanted(settings: BiasSettings, names: Sequence[str], kinds: Kinds) -> Wanted:
    """What to take out of a captured call."""
    answer = settings.answer
    probability = "" if answer.label or len(answer.headers) > 1 else answer.probability or "0"
    found = Wanted(
        answer.label, probability, features=True, features_attribute=settings.features_attribute, names=names,
        kinds=kinds,
    )  # fmt: skip
    if not answer.label and len(answer.headers) > 1:
        for place in range(len(answer.headers)):
            found.outputs[f"{SCORE}{place}"] = _score(answer.probability, place)
    return found


def _score(path: str, place: int) -> Attribute:
    """Where the score of one class is: its place in the list at the path, or in the answer itself."""
    if not path:
        return attribute(str(place))
    whole = attribute(path)
    if whole.place is not None:
        return Attribute(f"[{whole.place}][{place}]", steps=(whole.place, place))
    return Attribute(f"{path}[{place}]", steps=(*whole.steps, place))


def outcomes(frame: pl.DataFrame, settings: BiasSettings) -> pl.DataFrame:
    """The frame with ``@outcome`` of its label and ``@predicted`` of its prediction, as far as there are columns."""
    label = _good(frame[LABEL], settings) if LABEL in frame.columns else None
    return frame.with_columns(_code(label, frame.height, OUTCOME), _code(_predicted(frame, settings), frame.height,
                                                                         PREDICTED))  # fmt: skip


def _code(good: pl.Series | None, height: int, name: str) -> pl.Series:
    if good is None:
        return pl.Series(name, [ABSENT] * height, dtype=pl.Int8)
    return good.cast(pl.Int8).fill_null(ABSENT).alias(name)


def _good(labels: pl.Series, settings: BiasSettings) -> pl.Series:
    if isinstance(settings.positive, float):
        return labels.cast(pl.Float64, strict=False) > settings.positive
    return labels.is_in(list(settings.positive))


def _predicted(frame: pl.DataFrame, settings: BiasSettings) -> pl.Series | None:
    scores = [name for name in frame.columns if name.startswith(SCORE)]
    if scores:
        return _likeliest(frame.select(scores), settings)
    if PREDICTION in frame.columns:
        return _good(frame[PREDICTION], settings)
    if PROBABILITY in frame.columns:
        return _above(frame[PROBABILITY], settings)
    return None


def _above(probability: pl.Series, settings: BiasSettings) -> pl.Series:
    """Whether the probability is above the threshold: then the label is the only header, or the good one."""
    above = probability > settings.answer.threshold
    only = settings.answer.headers
    return above if not only or _is_good(only[0], settings) else ~above


def _is_good(label: str, settings: BiasSettings) -> bool:
    return bool(_good(canonical(pl.Series([label])), settings)[0])


def _likeliest(scores: pl.DataFrame, settings: BiasSettings) -> pl.Series:
    good = pl.Series([_is_good(header, settings) for header in settings.answer.headers])
    greatest = scores.select(pl.concat_list(pl.all()).list.arg_max()).to_series()
    complete = scores.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    found = pl.Series([None if place is None else good[place] for place in greatest], dtype=pl.Boolean)
    return found.set(~complete, None)


def answers_there(frame: pl.DataFrame) -> bool:
    """Whether the rows carry what the model answered."""
    return any(name in (PREDICTION, PROBABILITY) or name.startswith(SCORE) for name in frame.columns)


def asked(features: pl.DataFrame, predict: Predict, settings: BiasSettings) -> pl.Series:
    """``@predicted`` of rows by asking the model. Raises ModelFailed when it does not answer as it should."""
    rows, found = features.rows(), []
    step = batch_rows(features.width)
    for start in range(0, len(rows), step):
        found += answered(predict, rows[start : start + step], start)
    return outcomes(_as_frame(found, settings.answer), settings)[PREDICTED]


def _as_frame(rows: Sequence[Sequence[float]], answer: Answer) -> pl.DataFrame:
    width = min(len(row) for row in rows)
    several = len(answer.headers) > 1
    if not answer.label and several:
        if width < len(answer.headers):
            raise ModelFailed(f"The model answers {width} scores, but there are {len(answer.headers)} label_headers.")
        return pl.DataFrame({f"{SCORE}{place}": [float(row[place]) for row in rows]
                             for place in range(len(answer.headers))})  # fmt: skip
    path = answer.label or answer.probability or "0"
    place = int(path) if path.isdigit() else 0
    if place >= width or (not path.isdigit() and width > 1):
        raise ModelFailed(
            f"The model answers {width} values for a row; the one at {path!r} cannot be told.",
            hint="Name its place: 0, 1, ...",
        )
    column = [float(row[place]) for row in rows]
    if answer.label:
        return pl.DataFrame({PREDICTION: canonical(pl.Series(column).cast(pl.String))})
    return pl.DataFrame({PROBABILITY: column})


def check_headers(settings: BiasSettings) -> None:
    """Raise InputUnreadable when the label headers hold no good label."""
    headers = settings.answer.headers
    if len(headers) > 1 and not any(_is_good(header, settings) for header in headers):
        raise InputUnreadable(
            f"predicted_label_config.label_headers ({', '.join(headers)}) hold none of the labels "
            f"{settings.shown_label}.", hint="Write them as bias_config.label_values_or_threshold does.",
        )  # fmt: skip
