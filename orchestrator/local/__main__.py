"""``python -m orchestrator.local``: the embedded AWS as a process."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from orchestrator.local.embedded import DEFAULT_ACCOUNTS, EmbeddedAws


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.local", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--region", default="us-east-1")
    options = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    aws = EmbeddedAws(options.home, options.port, DEFAULT_ACCOUNTS, options.region)
    aws.start()
    stopped.wait()
    aws.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
