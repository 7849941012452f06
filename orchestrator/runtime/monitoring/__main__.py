"""``python -m orchestrator.runtime.monitoring baseline|analyze|report``: one monitor run, as a job or by hand."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from orchestrator.runtime.monitoring.command import register, run
from orchestrator.runtime.monitoring.failures import MonitoringError

FAILED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.runtime.monitoring", description=__doc__)
    register(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    arguments = parser.parse_args(argv)
    try:
        result = run(arguments)
    except MonitoringError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return FAILED
    print(json.dumps(result.document, default=str) if arguments.json else result.text)
    return result.code


if __name__ == "__main__":
    sys.exit(main())
