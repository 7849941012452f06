"""A model card as a PDF: its sections as headings, its values as lines, lists and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF

MARGIN = 18
LONGEST_CELL = 400
LINE = 5.5


def write(card: Mapping[str, Any], content: Mapping[str, Any], path: Path) -> None:
    """Write one version of a card. The same version gives the same text; the standard fonts know Latin-1 only."""
    pdf = FPDF(format="A4")
    pdf.set_margin(MARGIN)
    pdf.set_title(_plain(card["ModelCardName"]))
    pdf.set_creation_date(_moment(card["LastModifiedTime"]))
    pdf.add_page()
    _heading(pdf, f"Model card {card['ModelCardName']}", 18)
    _line(pdf, f"Version {card['ModelCardVersion']}, {card['ModelCardStatus']}")
    _line(pdf, str(card["ModelCardArn"]))
    for name, section in content.items():
        _heading(pdf, _words(name), 14)
        _value(pdf, section, 0)
    pdf.output(str(path))


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)


def _heading(pdf: FPDF, text: str, size: int) -> None:
    pdf.ln(3)
    pdf.set_font("Helvetica", "B", size)
    pdf.multi_cell(0, size * 0.5, _plain(text), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(1)


def _line(pdf: FPDF, text: str, indent: int = 0, style: str = "") -> None:
    pdf.set_font("Helvetica", style, 10)
    pdf.set_x(MARGIN + indent)
    pdf.multi_cell(0, LINE, _plain(text), new_x="LMARGIN", new_y="NEXT")


def _value(pdf: FPDF, value: Any, indent: int) -> None:
    """A value below its heading; objects in lists are told one after the other."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, Mapping | list) and inner:
                _line(pdf, _words(name), indent, "B")
                _value(pdf, inner, min(indent + 5, 40))
            elif inner not in ([], {}, None):
                _line(pdf, f"{_words(name)}: {inner}", indent)
    elif isinstance(value, list) and value and all(_is_metric(each) for each in value):
        _table(pdf, value)
    elif isinstance(value, list):
        for each in value:
            _value(pdf, each, indent) if isinstance(each, Mapping | list) else _line(pdf, f"- {each}", indent)
            if isinstance(each, Mapping):
                pdf.ln(1)


def _is_metric(value: Any) -> bool:
    return isinstance(value, Mapping) and {"name", "value"} <= value.keys()


def _table(pdf: FPDF, metrics: list[Mapping[str, Any]]) -> None:
    pdf.set_font("Helvetica", "", 9)
    with pdf.table(col_widths=(2, 3), first_row_as_headings=True) as table:
        for cells in [("Name", "Value"), *((each["name"], each["value"]) for each in metrics)]:
            row = table.row()
            for cell in cells:
                text = cell if isinstance(cell, str) else json.dumps(cell)
                row.cell(_plain(text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}..."))


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _plain(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
