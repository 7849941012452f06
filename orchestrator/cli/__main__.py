"""``mlops``: finds the verbs, parses, runs one, and turns errors into sentences and exit codes.

Exit codes: 0 done · 1 the orchestrator failed · 2 wrong usage or config · 3 not found · 4 not possible now ·
5 not set up · 6 AWS refused · 7 the pipeline failed · 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from orchestrator import __version__
from orchestrator.cli import verbs
from orchestrator.cli.console import Console
from orchestrator.errors import OrchestratorError

EXIT_INTERRUPTED = 130


def find_verbs() -> dict[str, ModuleType]:
    """Verb -> its module; ``list_.py`` is the verb ``list``."""
    names = sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))
    return {name.rstrip("_"): importlib.import_module(f"{verbs.__name__}.{name}") for name in names}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="mlops",
        description="From a committed mlops-config.json to live models in dev, staging and prod.",
        epilog="Start with `mlops demo`, or `mlops init` in your own repository. Exit codes: "
        + __doc__.split("codes: ")[1],
    )
    top.add_argument("--version", action="version", version=f"mlops {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    common.add_argument("--quiet", action="store_true", help="no progress on standard error")
    common.add_argument("--profile", help="AWS profile; without it a running embedded AWS is used, else your default")
    common.add_argument("--region", help="AWS region")
    commands = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in find_verbs().items():
        sub = commands.add_parser(name, help=module.SUMMARY, description=module.__doc__, parents=[common])
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        module.register(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = parser().parse_args(argv)
    console = Console(as_json=arguments.json, quiet=arguments.quiet)
    try:
        return int(arguments.run(arguments, console))
    except OrchestratorError as error:
        console.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.say("\nInterrupted. Nothing that was started has been stopped; see `mlops status`.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
