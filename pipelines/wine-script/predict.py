"""Predict in this process, without an endpoint: the reference that endpoints are compared with.

python predict.py MODEL_FOLDER TEST_CSV     one prediction a line
"""

import sys
from pathlib import Path

import joblib
import numpy


def main(model: Path, test: Path) -> None:
    """Print the class of each row."""
    for prediction in joblib.load(model / "model.joblib").predict(numpy.loadtxt(test, delimiter=",", ndmin=2)):
        print(int(prediction))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
