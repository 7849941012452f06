"""Hands a config in by the config bucket: for machines that may put it there, and do nothing else.

Folders of code go to the assets bucket, the config into a folder of the config bucket. The orchestrator's function
takes it from there and writes its answer beside it, which is waited for.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from orchestrator.aws import ABSENT_OBJECT, Aws
from orchestrator.cli import config, target
from orchestrator.cli.console import Console
from orchestrator.commits import CONFIG_FILE
from orchestrator.errors import AwsFailed, BadRequest, ConfigInvalid, Conflict, OrchestratorError, Problem

FOLDER = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
HIDDEN = frozenset({"AccessDenied", "403"})
"""How S3 says that an object is not there to those who may not list the bucket."""
LONGEST_WAIT_SECONDS = 300.0
"""Lambda tries what must wait again after one and after two more minutes."""
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
OPTIONS = ("config_bucket", "assets_bucket", "wait")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the config goes, and the function that lives behind it writes its answer."""

    bucket: str
    key: str

    @property
    def answer(self) -> str:
        """The key of the answer."""
        from orchestrator.handler import RESULT_SUFFIX

        return self.key + RESULT_SUFFIX

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose this way."""
    parser.add_argument(
        "--into",
        metavar="OWNER/REPOSITORY",
        help="put the config into this folder of the config bucket and wait for the answer, instead of calling the"
        " function: for continuous integration, whose role may do nothing else",
    )
    parser.add_argument("--config-bucket", metavar="NAME", help="with --into (default: the one the orchestrator made)")
    parser.add_argument("--assets-bucket", metavar="NAME", help="with --into (default: the one the orchestrator made)")
    parser.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help=f"with --into, for the answer (default {LONGEST_WAIT_SECONDS:.0f})",
    )


def hand_in(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Put the config there and wait; the function's answer.

    Raises ConfigInvalid with all problems, or BadRequest, when it is refused; Conflict when something stood in its way
    to the end; OrchestratorError when the function failed or did not answer; AwsFailed for what the role may not do.
    """
    from orchestrator.sources import with_uploaded_sources

    body = config.read(arguments.config)
    key = key_of(arguments.into, arguments.config)
    aws = _aws(arguments, console)
    bucket = arguments.config_bucket or _made(aws, "config")
    if isinstance(body, dict):
        body = with_uploaded_sources(body, config.folder_beside(config.base_of(arguments.config)), aws)
    place = Place(bucket, key)
    before = _answer(aws, place)
    data = json.dumps(body, indent=2).encode()
    put = aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=data, ContentType="application/json")
    console.say(f"The config lies at {place}; waiting for the answer.")
    longest = LONGEST_WAIT_SECONDS if arguments.wait is None else arguments.wait
    return _judged(_awaited(aws, place, put.get("VersionId", ""), before, longest), place, longest)


def refuse_options(arguments: argparse.Namespace) -> None:
    """Raises BadRequest for options that mean something with ``--into`` alone."""
    given = [f"--{name.replace('_', '-')}" for name in OPTIONS if getattr(arguments, name) is not None]
    if given and arguments.into is None:
        raise BadRequest(f"{', '.join(given)} without --into.", hint="Add --into OWNER/REPOSITORY, or leave it out.")


def key_of(folder: str, path: str) -> str:
    """The key of a config in the bucket: folder and path of the file; its end is what the function waits for.

    Raises BadRequest for a folder that is none.
    """
    folder = folder.strip("/")
    if not FOLDER.fullmatch(folder) or {".", ".."} & set(folder.split("/")):
        raise BadRequest(f"--into {folder!r} is not a folder.", hint="Write --into OWNER/REPOSITORY.")
    parts = [] if path == "-" else list(PurePosixPath(posixpath.normpath(path)).parts)
    parts = parts[-1:] if {"/", ".."} & set(parts[:1]) else parts
    if not parts or not parts[-1].endswith(CONFIG_FILE):
        parts.append(CONFIG_FILE)
    return "/".join([folder, *parts])


def _aws(arguments: argparse.Namespace, console: Console) -> Aws:
    """The door to AWS. Nobody was asked for the deployment's settings: only account, region and bucket are true."""
    found = target.find(arguments, console)
    region = found.client("lambda").meta.region_name  # of a service that is nowhere global
    plain = replace(target.offline_settings(), region=region)
    aws = Aws(plain)
    account = aws.call("sts", "get_caller_identity")["Account"]
    aws.settings = replace(plain, account=account)
    aws.settings = replace(aws.settings, assets_bucket=arguments.assets_bucket or _made(aws, "assets"))
    return aws


def _made(aws: Aws, purpose: str) -> str:
    """The name of a bucket that the launch template made."""
    return f"{target.name_prefix()}-{purpose}-{aws.settings.account}-{aws.settings.region}"


def _answer(aws: Aws, place: Place) -> Mapping[str, Any] | None:
    """The answer that lies there, with when it was written; None when there is none, or none to be seen."""
    try:
        found = aws.call("s3", "get_object", Bucket=place.bucket, Key=place.answer)
    except AwsFailed as error:
        if error.code in ABSENT_OBJECT | HIDDEN:
            return None
        raise
    return {**json.loads(found["Body"].read()), "written": found["LastModified"].isoformat()}


def _awaited(
    aws: Aws, place: Place, version: str, before: Mapping[str, Any] | None, longest: float
) -> Mapping[str, Any] | None:
    """The answer to this version of the config; one that says it must wait only when time is over, None for none."""
    deadline, pause = time.monotonic() + longest, PAUSE_SECONDS
    while True:
        found = _answer(aws, place)
        mine = found if found and found != before and found.get("version", "") == version else None
        if mine and mine.get("outcome") != "postponed":
            return mine
        left = deadline - time.monotonic()
        if left <= 0:
            return mine
        time.sleep(min(pause, left))
        pause = min(LONGEST_PAUSE_SECONDS, pause * 1.5)


def _judged(answer: Mapping[str, Any] | None, place: Place, longest: float) -> dict[str, Any]:
    """The answer when it is a good one; raises what it tells of otherwise."""
    if answer is None:
        raise OrchestratorError(
            f"No answer to {place} within {longest:.0f} s.",
            hint=f"It would lie at {place.answer}. Is this the orchestrator's config bucket, and may this role read"
            " there? `mlops logs --orchestrator` shows what the function said.",
        )
    if answer.get("problems"):
        raise ConfigInvalid(Problem(**problem) for problem in answer["problems"])
    kinds = {"refused": BadRequest, "postponed": Conflict, "failed": OrchestratorError}
    kind = kinds.get(str(answer.get("outcome")))
    if kind is not None:
        told = answer.get("message") or f"The function failed: {answer.get('error', 'it does not say why')}."
        raise kind(str(told), hint=str(answer.get("hint") or f"Request {answer.get('request_id', 'unknown')}."))
    return {key: value for key, value in answer.items() if key != "written"}
