"""``python -m orchestrator.runtime.serving <folder> [--detach]``: supervise the model of the folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.runtime.process import detach, hold
from orchestrator.runtime.serving.supervisor import Supervisor


def main() -> None:
    """Take the folder's lock and serve; end quietly when another supervisor has the lock."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.runtime.serving")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detach", action="store_true", help="go on in the background once the lock is held")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    if hold(folder / "lock") is None:
        return
    if arguments.detach:
        detach(folder / "supervisor.log")
    Supervisor(folder).run()


if __name__ == "__main__":
    main()
