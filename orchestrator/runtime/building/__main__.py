"""``python -m orchestrator.runtime.building <folder> [--detach]``: supervise the build of the folder."""

from __future__ import annotations

import argparse
import traceback
from pathlib import Path

from orchestrator.runtime.building.supervisor import supervise
from orchestrator.runtime.process import detach, hold


def main() -> None:
    """Take the folder's lock and run its build; end quietly when another supervisor has the lock."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.runtime.building")
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
        traceback.print_exc()  # on the supervisor's own log; the next supervisor of this folder says what it finds
        raise


if __name__ == "__main__":
    main()
