"""Trains one candidate, and serves it: the one file in the source archive of a candidate's training job.

It stands alone, so that it runs in SageMaker's scikit-learn and XGBoost images as it runs here. Training reads CSV
files with a header; served, a model takes CSV rows of the columns it was trained on, in their order, without header
and without target, and answers with one label or number a row.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import joblib
import numpy as np

MODEL = "model.joblib"
SERVED = "inference.py"
SEED = 7
MOST_CATEGORIES = 50
Rows = list[list[str]]


# ---- data ----


def read(folder: Path) -> tuple[list[str], Rows]:
    """The header and the rows of all CSV files of a folder."""
    header: list[str] = []
    rows: Rows = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        with path.open(newline="") as file:
            first, *rest = [row for row in csv.reader(file) if row]
        if header and first != header:
            raise SystemExit(f"{path.name} has another header than the files before it")
        header, rows = first, rows + rest
    if not rows:
        raise SystemExit("the data has no rows")
    if uneven := next((number for number, row in enumerate(rows, 1) if len(row) != len(header)), 0):
        raise SystemExit(f"row {uneven} has {len(rows[uneven - 1])} columns, the header has {len(header)}")
    return header, rows


def is_number(text: str) -> bool:
    """Whether a field is a number, or missing."""
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def table(rows: Rows, numeric: list[bool]) -> Any:
    """The rows as an array of objects: numbers are floats (missing ones nan), all else is text."""
    made = np.empty((len(rows), len(numeric)), dtype=object)
    for place, row in enumerate(rows):
        if len(row) != len(numeric):
            raise ValueError(f"a row has {len(row)} columns, the model was trained on {len(numeric)}")
        made[place] = [float(cell or "nan") if is_n else cell for cell, is_n in zip(row, numeric, strict=True)]
    return made


# ---- the model ----


def estimator(name: str, parameters: dict[str, Any], *, classify: bool) -> Any:
    """The estimator of a candidate."""
    from sklearn import ensemble, linear_model, neighbors, neural_network

    if name == "linear":
        strength = parameters.pop("strength")
        return (
            linear_model.LogisticRegression(C=strength, max_iter=1000, **parameters)
            if classify
            else linear_model.Ridge(alpha=1.0 / strength, **parameters)
        )
    if name == "xgboost":
        import xgboost

        parameters = {"n_jobs": 1, "random_state": SEED, **parameters}
        return xgboost.XGBClassifier(**parameters) if classify else xgboost.XGBRegressor(**parameters)
    kinds: dict[str, tuple[Any, Any]] = {
        "forest": (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor),
        "extra-trees": (ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor),
        "hist-boosting": (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor),
        "mlp": (neural_network.MLPClassifier, neural_network.MLPRegressor),
        "neighbours": (neighbors.KNeighborsClassifier, neighbors.KNeighborsRegressor),
    }
    kind = kinds[name][0 if classify else 1]
    seeded = {} if name == "neighbours" else {"random_state": SEED}
    return kind(**seeded, **parameters)


def pipeline(numeric: list[bool], last: Any) -> Any:
    """Missing numbers filled in, numbers scaled, categories spread; then the estimator."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [place for place, is_n in enumerate(numeric) if is_n]
    texts = [place for place, is_n in enumerate(numeric) if not is_n]
    spread = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False, dtype=np.float64
    )
    prepare = ColumnTransformer(
        [("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers), ("texts", spread, texts)]
    )
    return make_pipeline(prepare, last)


def scores(model: Any, rows: Any, truth: Any, problem: str) -> dict[str, float]:
    """Every metric of the type of problem."""
    from sklearn import metrics

    told = model.predict(rows)
    if problem == "Regression":
        mse = metrics.mean_squared_error(truth, told)
        mae = metrics.mean_absolute_error(truth, told)
        return {"MSE": mse, "RMSE": mse**0.5, "MAE": mae, "R2": metrics.r2_score(truth, told)}
    found = {
        "Accuracy": metrics.accuracy_score(truth, told),
        "BalancedAccuracy": metrics.balanced_accuracy_score(truth, told),
    }
    if problem == "BinaryClassification":
        return {
            **found,
            "F1": metrics.f1_score(truth, told),
            "Precision": metrics.precision_score(truth, told, zero_division=0),
            "Recall": metrics.recall_score(truth, told),
            "AUC": metrics.roc_auc_score(truth, model.predict_proba(rows)[:, 1]),
        }
    return {
        **found,
        "F1macro": metrics.f1_score(truth, told, average="macro"),
        "PrecisionMacro": metrics.precision_score(truth, told, average="macro", zero_division=0),
        "RecallMacro": metrics.recall_score(truth, told, average="macro", zero_division=0),
    }


# ---- training ----


def split(rows: Rows, fraction: float, labels: list[str] | None) -> tuple[Rows, Rows]:
    """Rows to learn from and rows to be judged by; each class in both where that is possible."""
    from sklearn.model_selection import train_test_split

    stratify = labels if labels and min(labels.count(label) for label in set(labels)) > 1 else None
    learn, judge = train_test_split(rows, test_size=fraction, random_state=SEED, stratify=stratify)
    return list(learn), list(judge)


def train(options: argparse.Namespace, channels: dict[str, Path], target_folder: Path) -> dict[str, float]:
    """Fit the candidate, keep it with what is needed to serve it, and tell how good it is."""
    header, rows = read(channels["train"])
    if options.target not in header:
        raise SystemExit(f"there is no column {options.target!r}; there are {', '.join(header)}")
    place = header.index(options.target)
    rows = [row for row in rows if row[place] != ""]
    classify = options.problem != "Regression"
    labels = sorted({row[place] for row in rows}) if classify else []
    if "validation" in channels:
        learn, judge = rows, read(channels["validation"])[1]
    else:
        learn, judge = split(rows, options.validation_fraction, [row[place] for row in rows] if classify else None)
    features = [[cell for number, cell in enumerate(row) if number != place] for row in rows]
    numeric = [all(is_number(row[number]) for row in features) for number in range(len(header) - 1)]

    def parts(some: Rows) -> tuple[Any, Any]:
        known = [row for row in some if not classify or row[place] in labels]
        inputs = table([[cell for number, cell in enumerate(row) if number != place] for row in known], numeric)
        truth = [labels.index(row[place]) if classify else float(row[place]) for row in known]
        return inputs, np.array(truth)

    model = pipeline(numeric, estimator(options.estimator, json.loads(options.parameters), classify=classify))
    model.fit(*parts(learn))
    found = scores(model, *parts(judge), options.problem)
    names = [name for name in header if name != options.target]
    joblib.dump({"model": model, "numeric": numeric, "labels": labels, "columns": names}, target_folder / MODEL)
    code = target_folder / "code"
    code.mkdir(exist_ok=True)
    shutil.copy(__file__, code / SERVED)
    return found


def main() -> None:
    """Train as SageMaker's script mode calls it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--estimator", required=True)
    parser.add_argument("--parameters", required=True)
    parser.add_argument("--problem", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--validation_fraction", type=float, default=0.2)
    options, _ = parser.parse_known_args()
    found = {name: os.environ.get(f"SM_CHANNEL_{name.upper()}", "") for name in ("train", "validation")}
    channels = {name: Path(path) for name, path in found.items() if path}
    for name, value in train(options, channels, Path(os.environ["SM_MODEL_DIR"])).items():
        print(f"validation-{name}={float(value):.10g}", flush=True)


# ---- serving ----


def model_fn(folder: str) -> Any:
    """The model as it was kept."""
    return joblib.load(Path(folder) / MODEL)


def input_fn(body: str | bytes, content_type: str) -> Rows:
    """The rows of a CSV body."""
    if content_type != "text/csv":
        raise ValueError(f"the model takes text/csv, not {content_type}")
    text = body.decode() if isinstance(body, bytes) else body
    return [row for row in csv.reader(io.StringIO(text)) if row]


def predict_fn(rows: Rows, kept: dict[str, Any]) -> list[str]:
    """A label, or a number, for each row."""
    told = kept["model"].predict(table(rows, kept["numeric"]))
    return [kept["labels"][int(value)] if kept["labels"] else repr(float(value)) for value in told]


def output_fn(answers: list[str], accept: str) -> tuple[str, str]:
    """One answer a line, or a list in JSON."""
    if accept == "application/json":
        return json.dumps({"predictions": [{"predicted_label": answer} for answer in answers]}), accept
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows([answer] for answer in answers)
    return target.getvalue(), "text/csv"


if __name__ == "__main__":
    main()
