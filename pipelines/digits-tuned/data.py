"""Write the handwritten digits (they ship inside scikit-learn) in the form SageMaker's XGBoost reads.

    python data.py FOLDER

FOLDER/assets/data/digits/{train,validation}.csv   to upload: label first, no header
FOLDER/test.csv, FOLDER/labels.csv                 kept back: features only, and the truth

The split is the same on every machine: a permutation of the 1797 rows from seed 7, cut at 60 % and 80 %.
"""

import sys
from pathlib import Path

import numpy
from sklearn.datasets import load_digits


def main(folder: Path) -> None:
    """Write the four files."""
    features, labels = load_digits(return_X_y=True)
    order = numpy.random.default_rng(7).permutation(len(labels))
    train, validation, test = numpy.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    channels = folder / "assets" / "data" / "digits"
    channels.mkdir(parents=True, exist_ok=True)
    table = numpy.column_stack([labels, features])
    numpy.savetxt(channels / "train.csv", table[train], delimiter=",", fmt="%g")
    numpy.savetxt(channels / "validation.csv", table[validation], delimiter=",", fmt="%g")
    numpy.savetxt(folder / "test.csv", features[test], delimiter=",", fmt="%g")
    numpy.savetxt(folder / "labels.csv", labels[test], fmt="%d")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
