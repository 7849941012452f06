"""``python -m orchestrator.local``: the embedded AWS as a process. See docs/local-aws.md."""

from __future__ import annotations

import argparse
import logging
import os
import re
import resource
import signal
import sys
import threading
from pathlib import Path

from orchestrator.local.authorization.authorizer import ENFORCE, MODES
from orchestrator.local.embedded import DEFAULT_ACCOUNTS, EmbeddedAws
from orchestrator.local.gateway.http_server import PortInUse
from orchestrator.local.home_lock import HomeInUse
from orchestrator.local.journal.log import DamagedLog
from orchestrator.local.journal.snapshot import UnreadableSnapshot

LOGGER = logging.getLogger("orchestrator.local")
LONGEST_STOP_SECONDS = 25.0


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns 1 when the home or the port cannot be used."""
    options = _arguments()
    for variable in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):  # the user's; boto3 would look for it in here too
        os.environ.pop(variable, None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    _allow_many_files()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        aws = EmbeddedAws(options.home, options.port, options.accounts, options.region, authorization=options.iam)
        aws.start()
    except (HomeInUse, PortInUse, UnreadableSnapshot, DamagedLog) as problem:
        print(problem, file=sys.stderr)
        return 1
    LOGGER.info("ready at %s; %d requests were replayed", aws.endpoint, aws.replay.requests)
    stopping.wait()
    LOGGER.info("stopping")
    _give_up_after(LONGEST_STOP_SECONDS)
    aws.stop()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m orchestrator.local", description="The embedded AWS.")
    parser.add_argument("--home", type=Path, required=True, help="the folder with all state")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: any that is free)")
    parser.add_argument("--region", default="us-east-1", help="the usual region (default: %(default)s)")
    names = "name=id,... (default: orchestrator, dev, staging and prod)"
    parser.add_argument("--accounts", type=_accounts, default=dict(DEFAULT_ACCOUNTS), help=names)
    modes = "requests that IAM does not allow: refuse, or answer and note in denied.log, or do not look (%(choices)s)"
    parser.add_argument("--iam", choices=MODES, default=ENFORCE, help=modes)
    return parser.parse_args()


def _accounts(text: str) -> dict[str, str]:
    accounts = {}
    for pair in text.split(","):
        name, _, account = pair.partition("=")
        if not name or not re.fullmatch(r"\d{12}", account):
            raise argparse.ArgumentTypeError(f"{pair!r} is not name=<12 digits>")
        accounts[name] = account
    return accounts


def _allow_many_files() -> None:
    """Connections, logs of jobs and pipes to children each take a descriptor; the usual limit is low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _give_up_after(seconds: float) -> None:
    """End the process even when something does not stop: all state is on disk, so nothing is lost."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
