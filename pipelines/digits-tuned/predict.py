"""Predict in this process, without an endpoint: the reference that endpoints are compared with.

python predict.py MODEL_FOLDER TEST_CSV     one prediction a line
"""

import sys
from pathlib import Path

import numpy
import xgboost


def main(model: Path, test: Path) -> None:
    """Print the digit of each row."""
    booster = xgboost.Booster()
    booster.load_model(model / "xgboost-model")
    for prediction in booster.predict(xgboost.DMatrix(numpy.loadtxt(test, delimiter=",", ndmin=2))):
        print(float(prediction))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
