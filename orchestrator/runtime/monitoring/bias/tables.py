"""Counts of every combination of facets, label, prediction and group; and the tables of one facet made of them.

A combination (a *cell*) is all that a row is to any metric but the flip test, so the counts of the cells are the data:
they are what a baseline keeps, and drawing rows again is drawing counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.runtime.monitoring.bias.formulas import ABSENT, Numbers
from orchestrator.runtime.monitoring.failures import InputUnreadable

MOST_CELLS, MOST_GROUPS = 20_000, 1_000
Cell = tuple[str | None, ...]
"""The code of each facet (None: it is missing), label and prediction as 0, 1 or 2, and the group."""
TABLE = (2, 3, 3)


@dataclass(frozen=True, slots=True)
class View:
    """One group of people beside everybody else: the ``place`` of its facet among the facets, and its codes.

    ``shown`` is Clarify's ``value_or_threshold``.
    """

    facet: str
    place: int
    code: str
    shown: str

    @property
    def key(self) -> tuple[str, str]:
        """What the view is known by in a baseline and its windows."""
        return self.facet, self.code


@dataclass(slots=True)
class Counts:
    """How many rows each cell has. ``facets`` are their names, in the order of the codes."""

    facets: Sequence[str]
    cells: dict[Cell, int] = field(default_factory=dict)

    def add(self, cell: Cell, count: int) -> None:
        """Count rows. Raises InputUnreadable when there are more cells than can be compared."""
        self.cells[cell] = self.cells.get(cell, 0) + count
        if len(self.cells) > MOST_CELLS:
            raise InputUnreadable(
                f"The facets {', '.join(self.facets)} and the groups make more than {MOST_CELLS:,} combinations.",
                hint="Name the values of the facets, or a group_name with fewer groups.",
            )

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(self.cells.values())

    def as_list(self) -> list[list[Any]]:
        """The cells as JSON: the codes, and the count as last."""
        return [[*cell, count] for cell, count in sorted(self.cells.items(), key=lambda each: repr(each[0]))]


def stored(facets: Sequence[str], cells: Sequence[Sequence[Any]]) -> Counts:
    """The counts that ``as_list`` wrote. Raises ValueError or TypeError when they are none."""
    counts = Counts(facets)
    for *codes, count in cells:
        if len(codes) != len(facets) + 3 or int(count) < 0:
            raise ValueError("the cells are damaged")
        counts.add(tuple(codes), int(count))
    return counts


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the cells belong in the tables of a view: sums over runs of ``order`` that begin at ``starts``."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    keys: NDArray[np.intp]
    groups: int

    def tables(self, counts: Numbers) -> Numbers:
        """Counts of shape (draws, cells) as tables of shape (draws, groups, 2, 3, 3)."""
        made = np.zeros((len(counts), self.groups * 18))
        if len(self.order):
            made[:, self.keys] = np.add.reduceat(counts[:, self.order], self.starts, axis=1)
        return made.reshape(len(counts), self.groups, *TABLE)


def groups_of(cells: Sequence[Cell]) -> list[str | None]:
    """The groups there are. Raises InputUnreadable when they are too many."""
    found = sorted({cell[-1] for cell in cells}, key=lambda each: (each is None, each))
    if len(found) > MOST_GROUPS:
        raise InputUnreadable(
            f"group_name has more than {MOST_GROUPS:,} different values.", hint="Name a column with fewer groups."
        )
    return found


def layout(cells: Sequence[Cell], view: View, groups: Sequence[str | None]) -> Layout:
    """The layout of a view; rows whose facet is missing are left out of it."""
    places = {group: place for place, group in enumerate(groups)}
    order, keys = [], []
    for place, cell in enumerate(cells):
        if cell[view.place] is not None:
            row = places[cell[-1]] * 2 + (cell[view.place] == view.code)
            order.append(place)
            keys.append((row * 3 + int(cell[-3] or ABSENT)) * 3 + int(cell[-2] or ABSENT))
    by_key = np.argsort(np.array(keys, dtype=np.intp), kind="stable")
    ranked = np.array(keys, dtype=np.intp)[by_key]
    unique, starts = np.unique(ranked, return_index=True)
    return Layout(np.array(order, dtype=np.intp)[by_key], starts, unique, len(groups))


def aligned(*many: Mapping[Cell, int]) -> tuple[list[Cell], list[NDArray[np.int64]]]:
    """The cells that any of them has, and the counts of each in this order."""
    cells = sorted({cell for counts in many for cell in counts}, key=repr)
    return cells, [np.array([counts.get(cell, 0) for cell in cells], dtype=np.int64) for counts in many]
