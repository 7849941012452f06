"""Write the digits data set (it ships inside scikit-learn): label first, no header.

    python data.py FOLDER

FOLDER/assets/data/digits/train.csv         to upload
FOLDER/test.csv, FOLDER/labels.csv        kept back: features only, and the truth

The split is the same on every machine: a permutation of the 1,797 rows from seed 7, cut at 70 %.
"""

import sys
from pathlib import Path

import numpy
from sklearn.datasets import load_digits


def main(folder: Path) -> None:
    """Write the three files."""
    features, labels = load_digits(return_X_y=True)
    order = numpy.random.default_rng(7).permutation(len(labels))
    train, test = numpy.split(order, [int(0.7 * len(order))])
    channel = folder / "assets" / "data" / "digits"
    channel.mkdir(parents=True, exist_ok=True)
    numpy.savetxt(channel / "train.csv", numpy.column_stack([labels, features])[train], delimiter=",", fmt="%.6g")
    numpy.savetxt(folder / "test.csv", features[test], delimiter=",", fmt="%.6g")
    numpy.savetxt(folder / "labels.csv", labels[test], fmt="%d")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
