"""The figures of one bench are renewed without losing those of the others."""

from __future__ import annotations

from bench.__main__ import MARK, renewed
from bench.measure import Figure, markdown

README = (
    f"# Figures\n\nSome words.\n\n{MARK}\n\n### growth\n\nold\n\n### monitoring\n\n| a | b |\n\n### start\n\nkept\n"
)


def test_naming_a_bench_keeps_the_tables_of_the_others() -> None:
    text = renewed(
        README, {"growth": "### growth\n\nnew\n", "monitoring, beside peers": "### monitoring, beside peers\n\nx\n"}
    )
    head, tail = text.split(MARK)
    assert head == "# Figures\n\nSome words.\n\n"
    parts = [each.strip().split("\n\n") for each in tail.split("### ")[1:]]
    assert parts == [
        ["growth", "new"],
        ["monitoring", "| a | b |"],
        ["monitoring, beside peers", "x"],
        ["start", "kept"],
    ]
    assert renewed(text, {}) == text


def test_a_figure_beyond_its_limit_says_so() -> None:
    table = markdown([Figure("calm", 1.0, "×", 2.0), Figure("loud", 3.0, "×", 2.0), Figure("free", 9.0, "s")])
    assert table.count("**missed**") == 1 and "| loud | 3 × | ≤ 2 **missed** |  |" in table
