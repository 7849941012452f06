"""Dockerfiles, read without an engine: their instructions, and whether the files they copy are in the context.

Source: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

INSTRUCTIONS = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
        *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
BEFORE_FROM = frozenset({"ARG", "FROM"})
HEREDOC = re.compile(r"<<-?(['\"]?)(\w+)\1")
FLAG = re.compile(r"--[a-z-]+(=\S*)?$")
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")
REMOTE = re.compile(r"(https?|ftp|git|ssh)://|git@")


class BadDockerfile(Exception):
    """The Dockerfile cannot be built from this context; the message names every problem with its line."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its line (from 1), its name in capitals, its words as written."""

    line: int
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile that could be built: its instructions, the images it begins with, its stages' names in order."""

    instructions: tuple[Instruction, ...]
    bases: tuple[str, ...]
    stages: tuple[str, ...]


def read(text: str, context: Path, arguments: Mapping[str, str], target: str = "") -> Dockerfile:
    """Read and check a Dockerfile against its context. Raises BadDockerfile with all problems."""
    instructions = tuple(_instructions(text))
    problems: list[str] = []
    bases: list[str] = []
    stages: list[str] = []
    outer: dict[str, str] = {}
    inner: dict[str, str] = {}
    for each in instructions:
        if each.name not in INSTRUCTIONS:
            problems.append(f"line {each.line}: unknown instruction: {each.name}")
        elif not each.words:
            problems.append(f"line {each.line}: {each.name} requires at least one argument")
        elif not stages and each.name not in BEFORE_FROM:
            problems.append(f"line {each.line}: no build stage in current context: {each.name} stands before FROM")
        elif each.name == "FROM":
            base, name = _from(each.words, outer)
            bases.append(base)
            stages.append(name or str(len(stages)))
            inner = {}
        elif each.name == "ARG":
            name, _, value = each.words.partition("=")
            known = inner if stages else outer
            known[name.strip()] = arguments.get(name.strip(), _unquoted(value) or outer.get(name.strip(), ""))
        elif each.name == "ENV":
            inner.update(_pairs(each.words))
        elif each.name in ("COPY", "ADD"):
            problems += [f"line {each.line}: {text}" for text in _copied(each, context, inner)]
    if not stages:
        problems.append("there is no FROM")
    if target and target not in {*stages, *(str(number) for number in range(len(stages)))}:
        problems.append(f"target stage {target!r} could not be found; there are {', '.join(stages) or 'none'}")
    if problems:
        raise BadDockerfile("; ".join(problems))
    return Dockerfile(instructions, tuple(base for base in bases if base not in stages), tuple(stages))


def _instructions(text: str) -> Iterator[Instruction]:
    """The instructions with continued lines joined, comments left out and here-documents skipped."""
    lines = text.splitlines()
    sign = _escape(lines)
    escape = re.escape(sign)
    number = 0
    while number < len(lines):
        first, line = number + 1, lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        while re.search(rf"{escape}\s*$", line) and number < len(lines):
            line = re.sub(rf"{escape}\s*$", "", line)
            following = lines[number].strip()
            number += 1
            line += sign if following.startswith("#") else following  # a comment does not end what is continued
        name, _, words = line.partition(" ")
        if name.upper() in ("RUN", "COPY", "ADD"):
            for _, end in HEREDOC.findall(words):
                while number < len(lines) and lines[number].strip() != end:
                    number += 1
                number += 1
        yield Instruction(first, name.upper(), words.strip())


def _escape(lines: list[str]) -> str:
    for line in lines:
        directive = re.match(r"#\s*([a-z]+)\s*=\s*(\S+)\s*$", line.strip())
        if not directive:
            return "\\"
        if directive[1] == "escape":
            return directive[2]
    return "\\"


def _from(words: str, arguments: Mapping[str, str]) -> tuple[str, str]:
    parts = [word for word in words.split() if not FLAG.match(word)]
    name = parts[2] if len(parts) > 2 and parts[1].upper() == "AS" else ""
    return (_filled(parts[0], arguments) if parts else ""), name


def _copied(each: Instruction, context: Path, known: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the sources of a COPY or ADD."""
    flags, words = _flags(each.words)
    if any(flag.startswith("--from=") for flag in flags) or HEREDOC.search(words):
        return  # from another stage or image, or from the Dockerfile itself
    try:
        listed = json.loads(words) if words.startswith("[") else words.split()
    except ValueError:
        listed = words.split()
    if len(listed) < 2:
        yield f"{each.name} requires at least two arguments: what, and where to"
        return
    for word in listed[:-1]:
        source = _filled(_unquoted(str(word)), known)
        if REMOTE.match(source) or "$" in source:
            continue
        if not _found(context, source):
            yield f"{each.name} {source}: not found in the build context"


def _found(context: Path, source: str) -> bool:
    relative = source.lstrip("/") or "."
    path = (context / relative).resolve()
    if not path.is_relative_to(context.resolve()):
        return False
    return path.exists() or (any(sign in relative for sign in "*?[") and any(context.glob(relative)))


def _flags(words: str) -> tuple[list[str], str]:
    flags = []
    while (first := words.partition(" "))[0].startswith("--"):
        flags.append(first[0])
        words = first[2].strip()
    return flags, words


def _pairs(words: str) -> dict[str, str]:
    found = {name: _unquoted(value) for name, value in re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S*)", words)}
    name, _, value = words.partition(" ")
    return found if "=" in name else {name: value.strip()}


def _filled(text: str, known: Mapping[str, str]) -> str:
    """Variables replaced by what is known; one that is not stays."""

    def value(match: re.Match[str]) -> str:
        name, form, other = match[1] or match[2], match[3], match[4] or ""
        if form == "+":
            return other if known.get(name) else ""
        if form == "-" and not known.get(name):
            return other
        return known.get(name, match[0])

    return VARIABLE.sub(value, text)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
