"""What stands for ``docker`` in a build, saying plainly what it cannot do.

*With an engine* (docker or podman that answers): ``build`` and ``tag`` are its own; ``push`` to a registry of the
embedded AWS puts the image's manifest there, while its layers stay with the engine, because the embedded ECR keeps no
layers. *Without one*: ``build`` reads the Dockerfile, checks it against its context and refuses; for an image that is
to be rehearsed it notes what would be built, and ``push`` puts a manifest that says that it is a rehearsal.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.runtime.building import pushed
from orchestrator.runtime.building.dockerfile import BadDockerfile, read
from orchestrator.runtime.building.job import REFUSAL_FILE
from orchestrator.runtime.building.stand_ins import ENGINE, FOLDER, NO_ENGINE, REHEARSE

REGISTRY = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?(?=/|$)")
IGNORED = ("--pull", "--no-cache", "--quiet", "-q")
VALUED = ("--progress", "--provenance", "--sbom", "--label")
"""Options of ``build`` that change nothing which could be seen without an engine."""


class Refused(Exception):
    """The stand-in cannot do it; the message is a sentence for people."""


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    folder, engine = Path(os.environ[FOLDER]), os.environ.get(ENGINE, "")
    command, rest = (words[0] if words else ""), list(words[1:])
    try:
        if command in COMMANDS:
            return COMMANDS[command](rest, folder, engine)
        if engine:
            return _hand_over(engine, words)
        raise Refused(f"docker {command}: {_no_engine()}")
    except (Refused, BadDockerfile, pushed.NotPushed) as error:
        (folder / REFUSAL_FILE).write_text(f"{error}\n")
        print(f"ERROR: {error}", file=sys.stderr)
        return 1


def _no_engine() -> str:
    return f"no container engine on this machine: {os.environ.get(NO_ENGINE, 'none was looked for')}"


def _hand_over(engine: str, words: Sequence[str]) -> int:
    sys.stdout.flush()
    return subprocess.run([engine, *words], check=False).returncode


def _login(words: Sequence[str], folder: Path, engine: str) -> int:
    """The registries of the embedded AWS need no session; the password must be there all the same."""
    del folder
    host = words[-1] if words else ""
    if not REGISTRY.match(host):
        if engine:
            return _hand_over(engine, ["login", *words])
        raise Refused(f"docker login {host}: {_no_engine()}")
    if "--password-stdin" in words and not sys.stdin.read().strip():
        raise Refused(f"docker login {host}: there is no password on the standard input")
    print("Login Succeeded")
    return 0


def _build(words: Sequence[str], folder: Path, engine: str) -> int:
    options = _options(words)
    context = Path(options.context)
    file = Path(options.file) if options.file else context / "Dockerfile"
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"docker build: the Dockerfile cannot be read: {error}") from error
    arguments = dict(item.partition("=")[::2] for item in options.build_arg)
    dockerfile = read(text, context, arguments, options.target)
    if engine:
        return _hand_over(engine, ["build", *words])
    checked = f"the Dockerfile was read and fits its context ({len(dockerfile.instructions)} instructions)"
    print(f"{file}: {checked}; it begins with {', '.join(dockerfile.bases)}")
    names = list(options.tag)
    globs = os.environ.get(REHEARSE, "").split("\n")
    if not names or not all(any(fnmatch.fnmatchcase(name, glob) for glob in globs if glob) for name in names):
        raise Refused(
            f"{_no_engine()}. Up to here the build is real: {checked}. Install and start docker or podman, or have the"
            " build rehearsed: see `builds.json` in docs/local-aws.md"
        )
    image = pushed.rehearsed(context, text, arguments, options.target, options.platform)
    for name in names:
        pushed.note(folder, name, image)
    print(f"REHEARSAL: nothing was built, since there is {_no_engine()}. {image.digest} stands for the image.")
    return 0


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("docker build", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-f", "--file", default="")
    parser.add_argument("-t", "--tag", action="append", default=[])
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("--target", default="")
    parser.add_argument("--platform", default="linux/amd64")
    for name in IGNORED:
        parser.add_argument(name, action="store_true")
    for name in VALUED:
        parser.add_argument(name)
    parser.add_argument("context")
    try:
        options, unknown = parser.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise Refused(f"docker build: {error}") from error
    if unknown:
        raise Refused(f"docker build: {' '.join(unknown)} is not supported by the embedded AWS")
    return options


def _tag(words: Sequence[str], folder: Path, engine: str) -> int:
    if engine:
        return _hand_over(engine, ["tag", *words])
    if len(words) != 2:
        raise Refused("docker tag needs two arguments: an image, and its new name")
    pushed.note(folder, words[1], pushed.noted(folder, words[0]))
    return 0


def _push(words: Sequence[str], folder: Path, engine: str) -> int:
    name = words[-1] if words else ""
    if not REGISTRY.match(name):
        if engine:
            return _hand_over(engine, ["push", *words])
        raise Refused(f"docker push {name}: {_no_engine()}")
    if engine:
        asked = subprocess.run(
            [engine, "image", "inspect", "--format", "{{json .}}", name], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            raise Refused(f"docker push {name}: {asked.stderr.strip()}")
        image = pushed.of_engine(asked.stdout)
    else:
        image = pushed.noted(folder, name)
    print(pushed.push(name, image))
    return 0


COMMANDS = {"login": _login, "build": _build, "tag": _tag, "push": _push}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
