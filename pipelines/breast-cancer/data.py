"""Write the breast-cancer data set (it ships inside scikit-learn) in the form SageMaker's XGBoost reads.

    python data.py FOLDER

FOLDER/assets/data/breast-cancer/{train,validation}.csv   to upload: label first, no header
FOLDER/assets/data/breast-cancer/baseline.csv             to upload: the same rows without label, with a header
FOLDER/test.csv, FOLDER/labels.csv                        kept back: features only, and the truth

The split is the same on every machine: a permutation of the 569 rows from seed 7, cut at 60 % and 80 %.
"""

import sys
from pathlib import Path

import numpy
from sklearn.datasets import load_breast_cancer


def main(folder: Path) -> None:
    """Write the five files."""
    data = load_breast_cancer()
    features, labels = data.data, data.target
    order = numpy.random.default_rng(7).permutation(len(labels))
    train, validation, test = numpy.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    channels = folder / "assets" / "data" / "breast-cancer"
    channels.mkdir(parents=True, exist_ok=True)
    table = numpy.column_stack([labels, features])
    numpy.savetxt(channels / "train.csv", table[train], delimiter=",", fmt="%.6g")
    numpy.savetxt(channels / "validation.csv", table[validation], delimiter=",", fmt="%.6g")
    names = ",".join(name.replace(" ", "_") for name in data.feature_names)
    numpy.savetxt(channels / "baseline.csv", features[train], delimiter=",", fmt="%.6g", header=names, comments="")
    numpy.savetxt(folder / "test.csv", features[test], delimiter=",", fmt="%.6g")
    numpy.savetxt(folder / "labels.csv", labels[test], fmt="%d")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
