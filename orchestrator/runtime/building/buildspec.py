"""Buildspecs, version 0.2: read, checked, and refused by name where a part is not built here.

Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

SHELLS = ("sh", "bash")
KNOWN = frozenset({"version", "env", "phases"})
UNSUPPORTED = frozenset({"run-as", "proxy", "batch", "reports", "artifacts", "cache"})
ENV = frozenset({"shell", "variables", "exported-variables"})
ENV_UNSUPPORTED = frozenset({"parameter-store", "secrets-manager", "git-credential-helper"})
PHASE = frozenset({"commands", "finally", "on-failure"})
PHASE_UNSUPPORTED = frozenset({"run-as", "runtime-versions"})
PHASE_NAMES = ("install", "pre_build", "build", "post_build")


class BadBuildspec(Exception):
    """The document is no buildspec that can run here; the message names every problem."""


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of one phase; ``on_failure`` is ``""``, ``ABORT`` or ``CONTINUE``."""

    commands: tuple[str, ...] = ()
    afterwards: tuple[str, ...] = ()
    on_failure: str = ""


@dataclass(frozen=True, slots=True)
class Buildspec:
    """A buildspec that can run. ``phases`` are keyed as BatchGetBuilds calls them (``PRE_BUILD``)."""

    phases: Mapping[str, Commands]
    interpreter: str = "sh"
    variables: Mapping[str, str] = field(default_factory=dict)
    exported: tuple[str, ...] = ()


def parse(text: str) -> Buildspec:
    """Read a buildspec. Raises BadBuildspec with all problems at once."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadBuildspec(f"YAML_FILE_ERROR: {error}") from error
    if not isinstance(document, dict):
        raise BadBuildspec("YAML_FILE_ERROR: the buildspec must be an object")
    problems = list(_problems(document))
    if problems:
        raise BadBuildspec("; ".join(problems))
    env, phases = document.get("env") or {}, document["phases"]
    return Buildspec(
        phases={name.upper(): _commands(phases[name] or {}) for name in PHASE_NAMES if name in phases},
        interpreter=env.get("shell", "sh"),
        variables={name: str(value) for name, value in (env.get("variables") or {}).items()},
        exported=tuple(env.get("exported-variables") or ()),
    )


def _commands(phase: Mapping[str, Any]) -> Commands:
    listed = {name: tuple(str(command) for command in phase.get(name) or ()) for name in ("commands", "finally")}
    return Commands(listed["commands"], listed["finally"], str(phase.get("on-failure", "")).upper())


def _problems(document: Mapping[Any, Any]) -> Iterator[str]:
    if str(document.get("version")) != "0.2":
        yield f"version: must be 0.2, not {document.get('version')!r}"
    yield from _members("", document, KNOWN, UNSUPPORTED)
    env = document.get("env") or {}
    if not isinstance(env, dict):
        yield "env: must be an object"
    else:
        yield from _members("env.", env, ENV, ENV_UNSUPPORTED)
        if env.get("shell", "sh") not in SHELLS:
            yield f"env.shell: {env['shell']!r} is not supported by the embedded AWS; use {' or '.join(SHELLS)}"
        if not isinstance(env.get("variables") or {}, dict):
            yield "env.variables: must be an object"
        if not _texts(env.get("exported-variables") or []):
            yield "env.exported-variables: must be a list of names"
    phases = document.get("phases")
    if not isinstance(phases, dict) or not phases:
        yield "phases: at least one is needed"
        return
    for name, phase in phases.items():
        if name not in PHASE_NAMES:
            yield f"phases.{name}: unknown; known are {', '.join(PHASE_NAMES)}"
        elif not isinstance(phase or {}, dict):
            yield f"phases.{name}: must be an object"
        else:
            yield from _phase(f"phases.{name}.", phase or {})


def _phase(path: str, phase: Mapping[Any, Any]) -> Iterator[str]:
    yield from _members(path, phase, PHASE, PHASE_UNSUPPORTED)
    if not phase.get("commands"):
        yield f"{path}commands: at least one is needed"
    for name in ("commands", "finally"):
        if not _texts(phase.get(name) or []):
            yield f"{path}{name}: must be a list of texts"
    if str(phase.get("on-failure", "")).upper() not in ("", "ABORT", "CONTINUE"):
        yield f"{path}on-failure: {phase['on-failure']!r} is not supported by the embedded AWS; use ABORT or CONTINUE"


def _members(path: str, node: Mapping[Any, Any], known: frozenset[str], unsupported: frozenset[str]) -> Iterator[str]:
    for name in node:
        if name in unsupported:
            yield f"{path}{name}: not supported by the embedded AWS"
        elif name not in known:
            yield f"{path}{name}: unknown; known are {', '.join(sorted(known | unsupported))}"


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)
