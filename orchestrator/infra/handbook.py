"""The generated part of docs/deploying.md: every parameter of the launch templates. ``make synth`` writes it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.blueprint import default_root
from orchestrator.infra.stacks.parameters import ACCOUNTS, MULTI_ACCOUNT, STAGE, Parameter
from orchestrator.schema import BEGIN, END

FILE = Path("docs/deploying.md")


def table() -> str:
    """The parameters of the hub's templates by group, and those of the stage-account template."""
    lines = []
    for label, group in {**MULTI_ACCOUNT, "The stage-account template alone": STAGE}.items():
        only = " (multi-account template only)" if group is ACCOUNTS else ""
        lines += [f"### {label}{only}", "", "| parameter | default | meaning |", "|---|---|---|"]
        lines += [_row(parameter) for parameter in group]
        lines.append("")
    return "\n".join(lines).rstrip()


def _row(parameter: Parameter) -> str:
    default = (
        "must be given" if parameter.default is None else f"`{parameter.default}`" if parameter.default else "empty"
    )
    allowed = f" One of {', '.join(f'`{choice}`' for choice in parameter.choices)}." if parameter.choices else ""
    return f"| `{parameter.name}` | {default} | {parameter.description}{allowed} |"


def written() -> str:
    """The whole file with its generated part made anew. Raises ValueError when the marks are gone."""
    text = (default_root() / FILE).read_text()
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{FILE} has lost the marks of its generated part.")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"
