"""``python -m orchestrator.runtime.transform <folder> [--detach]``: supervise the transform job of the folder."""

from __future__ import annotations

import argparse
import traceback
from pathlib import Path

from orchestrator.runtime.process import detach, hold
from orchestrator.runtime.transform.supervisor import supervise


def main() -> None:
    """Take the folder's lock and run its job; end quietly when another supervisor has the lock."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.runtime.transform")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detach", action="store_true", help="go on in the background once the lock is held")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    if hold(folder / "lock") is None:
        return
    if arguments.detach:
        detach(folder / "supervisor.log")
    try:
        supervise(folder)
    except Exception:
        traceback.print_exc()  # on the supervisor's own log; the next supervisor of this folder goes on
        raise


if __name__ == "__main__":
    main()
