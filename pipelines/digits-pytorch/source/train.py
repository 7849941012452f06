"""Train a small network on the digits under SageMaker's script-mode contract, and serve it with the same file."""

import argparse
import io
import os
import shutil
from pathlib import Path

import numpy
import torch


def network(hidden):
    """64 pixels in, 10 scores out."""
    return torch.nn.Sequential(torch.nn.Linear(64, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))


def model_fn(model_dir):
    """Load what ``main`` wrote."""
    state = torch.load(Path(model_dir) / "model.pt", weights_only=True)
    model = network(state["0.weight"].shape[0])
    model.load_state_dict(state)
    return model.eval()


def input_fn(body, content_type):
    """Rows of CSV become a tensor."""
    if content_type.split(";")[0] != "text/csv":
        raise ValueError(f"expected text/csv, not {content_type}")
    text = body.decode() if isinstance(body, bytes) else body
    return torch.tensor(numpy.loadtxt(io.StringIO(text), delimiter=",", ndmin=2), dtype=torch.float32)


def predict_fn(rows, model):
    """The digit of each row."""
    with torch.no_grad():
        return model(rows / 16).argmax(dim=1)


def output_fn(digits, accept):
    """One digit a line."""
    return "\n".join(str(int(digit)) for digit in digits)


def main():
    """Fit, report the loss that the config's regular expression looks for, and write the archive's content."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=32)
    arguments, _ = parser.parse_known_args()
    torch.manual_seed(7)
    torch.set_num_threads(1)
    table = numpy.loadtxt(Path(os.environ["SM_CHANNEL_TRAIN"]) / "train.csv", delimiter=",")
    rows = torch.tensor(table[:, 1:], dtype=torch.float32) / 16
    labels = torch.tensor(table[:, 0], dtype=torch.long)
    model = network(arguments.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(arguments.epochs):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(rows), labels)
        loss.backward()
        optimizer.step()
    print(f"train-loss={loss.item():.5f};")
    folder = Path(os.environ["SM_MODEL_DIR"])
    torch.save(model.state_dict(), folder / "model.pt")
    (folder / "code").mkdir(exist_ok=True)
    shutil.copy(__file__, folder / "code" / "inference.py")


if __name__ == "__main__":
    main()
