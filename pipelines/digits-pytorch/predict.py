"""Predict in this process, without an endpoint: the reference that endpoints are compared with.

python predict.py MODEL_FOLDER TEST_CSV     one prediction a line
"""

import importlib.util
import sys
from pathlib import Path


def main(model: Path, test: Path) -> None:
    """Print the digit of each row, with the functions that the archive carries."""
    spec = importlib.util.spec_from_file_location("inference", model / "code" / "inference.py")
    inference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(inference)
    rows = inference.input_fn(test.read_bytes(), "text/csv")
    print(inference.output_fn(inference.predict_fn(rows, inference.model_fn(model)), "text/csv"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
