"""``python -m orchestrator.runtime.monitoring baseline|analyze|report|job``: one monitor run, by hand or as a job."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from orchestrator.runtime.monitoring import command, job
from orchestrator.runtime.monitoring.failures import MonitoringError

FAILED = 2
JOB = "job"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_job = words[:1] == [JOB]
    name = "python -m orchestrator.runtime.monitoring"
    parser = argparse.ArgumentParser(prog=f"{name} {JOB}" if as_job else name, description=__doc__)
    (job.register if as_job else command.register)(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    arguments = parser.parse_args(words[1:] if as_job else words)
    try:
        result = job.run(arguments) if as_job else command.run(arguments)
    except MonitoringError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return FAILED
    print(json.dumps(result.document, default=str) if arguments.json else result.text)
    return result.code


if __name__ == "__main__":
    sys.exit(main())
