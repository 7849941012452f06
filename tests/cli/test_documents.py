"""What the documents tell people to type can be typed, and what they point to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from orchestrator.cli.__main__ import find_verbs, parser

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("pipelines/*/README.md"), *ROOT.glob("bench/*.md")]
)
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(mlops [^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


def commands(text: str) -> list[str]:
    """Every ``mlops ...`` line of a code block or inline code; placeholders and alternatives are left out."""
    fenced = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines = [line.removeprefix("$ ").split("#")[0].strip() for line in fenced] + INLINE.findall(FENCE.sub("", text))
    return [line for line in lines if line.startswith("mlops ") and not re.search(r"[|<>…\[]|\.\.\.", line)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_parse(path: Path) -> None:
    for line in commands(path.read_text()):
        words = shlex.split(line)[1:]
        if words[0] in find_verbs() and len(words) == 1:
            continue  # the verb is spoken of, not typed
        try:
            parser().parse_args(words)
        except SystemExit as stopped:
            assert stopped.code == 0, f"{path.name}: `{line}` is not a command"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} points to {target}"


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"^make (\w+)", (ROOT / document).read_text(), re.MULTILINE)) <= targets
