"""Train a random forest on the wine data under SageMaker's script-mode contract, and serve it with the same file.

SageMaker passes hyperparameters as arguments and folders as SM_* variables. ``model_fn`` and ``predict_fn`` are
what its inference toolkit looks for; the archive carries this file as ``code/inference.py``.
"""

import argparse
import os
import shutil
from pathlib import Path

import joblib
import numpy
from sklearn.ensemble import RandomForestClassifier


def model_fn(model_dir):
    """Load what ``main`` wrote."""
    return joblib.load(Path(model_dir) / "model.joblib")


def predict_fn(rows, model):
    """The class of each row."""
    return model.predict(numpy.atleast_2d(rows))


def main():
    """Fit, report the metric that the config's regular expression looks for, and write the archive's content."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--depth", type=int, default=5)
    arguments, _ = parser.parse_known_args()
    table = numpy.loadtxt(Path(os.environ["SM_CHANNEL_TRAIN"]) / "train.csv", delimiter=",")
    model = RandomForestClassifier(arguments.trees, max_depth=arguments.depth, random_state=7)
    model.fit(table[:, 1:], table[:, 0].astype(int))
    print(f"train-accuracy={model.score(table[:, 1:], table[:, 0].astype(int)):.4f};")
    folder = Path(os.environ["SM_MODEL_DIR"])
    joblib.dump(model, folder / "model.joblib")
    (folder / "code").mkdir(exist_ok=True)
    shutil.copy(__file__, folder / "code" / "inference.py")


if __name__ == "__main__":
    main()
