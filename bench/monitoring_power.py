"""Power of the data-quality monitor: how often a shift of one normal feature among six is found.

At the default thresholds, beside baselines of 5,000 rows; the other features (heavy-tailed, uniform with gaps, counts,
3 and 40 categories) do not change. A window counts when the shifted feature is among its violations; without a shift,
when anything is. `python -m bench.monitoring_power` draws `docs/monitoring-power.svg`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.measure import ROOT, Figure
from orchestrator.runtime.monitoring import documents
from orchestrator.runtime.monitoring.checks import Checks
from orchestrator.runtime.monitoring.columns import Batch
from orchestrator.runtime.monitoring.documents import Feature
from orchestrator.runtime.monitoring.evidence import Evidence
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.profile import Profile
from orchestrator.runtime.monitoring.quality.chance import wilson
from orchestrator.runtime.monitoring.quality.drawing import Axes, svg

PLOT = ROOT / "docs" / "monitoring-power.svg"
BASELINE, BASELINES = 5000, 10
SHIFTS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0)
WINDOWS = {100: 200, 300: 200, 1000: 200, 5000: 60}
"""Rows in a window -> how many windows."""
COLOURS = {100: "#9db4d8", 300: "#6f94cf", 1000: "#3b6fc4", 5000: "#163f8a"}
SURE = 0.999
Baseline = tuple[dict[str, Feature], dict[str, Mapping[str, Any]]]
LOOK = """
text{font:11px system-ui,sans-serif;fill:#667085}.label{fill:#344054;font-size:12px}.grid line{stroke:#e3e7ee}
.title{font-size:13px;font-weight:600;fill:#1c2430}
@media (prefers-color-scheme:dark){text{fill:#98a2b3}.label,.title{fill:#e6eaf0}.grid line{stroke:#2c3442}}
"""


def table(random: np.random.Generator, rows: int, shift: float = 0.0) -> pl.DataFrame:
    """Six features; the first is shifted by so many sigma."""
    missing = pl.Series(random.random(rows) < 0.05)
    ranked = np.arange(1, 41) ** -1.2
    return pl.DataFrame(
        {
            "normal": random.normal(shift, 1, rows),
            "heavy": random.lognormal(0, 1.5, rows),
            "uniform": pl.Series(random.random(rows)).set(missing, None),
            "count": random.poisson(4, rows).astype(float),
            "colour": random.choice(["red", "green", "blue"], rows, p=[0.6, 0.3, 0.1]),
            "shop": random.choice([f"s{n}" for n in range(40)], rows, p=ranked / ranked.sum()),
        }
    )


def profiled(frame: pl.DataFrame) -> Profile:
    """The profile of a table."""
    profile = Profile()
    profile.update(Batch(frame, "f", range(frame.height)))
    return profile


def baseline_of(frame: pl.DataFrame) -> Baseline:
    """A table as an analysis reads it back from the documents: features and constraints."""
    profile = profiled(frame)
    rules = {each["name"]: each for each in documents.constraints(profile)["features"]}
    return documents.features(documents.statistics(profile), "statistics"), rules


def violations(baseline: Baseline, frame: pl.DataFrame, policy: Policy) -> list[dict[str, Any]]:
    """What the monitor says of a window."""
    statistics, rules = baseline
    evidence = Evidence(rules)
    evidence.observe(Batch(frame, "f", range(frame.height)))
    window = documents.profiled(profiled(frame))
    checks = Checks(statistics, window, rules, documents.monitoring_config(), frame.height, policy, evidence)
    checks.run()
    return checks.violations


def measured() -> dict[int, dict[float, float]]:
    """Rows in a window -> shift -> share of windows in which it was found."""
    found: dict[int, dict[float, float]] = {}
    for rows, windows in WINDOWS.items():
        random = np.random.default_rng(rows)
        baselines = [baseline_of(table(random, BASELINE)) for _ in range(BASELINES)]
        found[rows] = {}
        for shift in SHIFTS:
            if shift and found[rows].get(SHIFTS[SHIFTS.index(shift) - 1], 0) >= SURE:
                found[rows][shift] = 1.0  # a larger shift than one that is always found
                continue
            hits = 0
            for place in range(windows):
                told = violations(baselines[place % BASELINES], table(random, rows, shift), Policy())
                names = {each["feature_name"] for each in told}
                hits += "normal" in names if shift else bool(names)
            found[rows][shift] = hits / windows
    return found


def run() -> list[Figure]:
    """The share found at each shift, for windows of 300 and 1,000 rows; and false alarms of all windows."""
    found = measured()
    figures = [
        Figure(f"{rows:,} rows, shift of {shift:g} sigma: found in", found[rows][shift] * 100, "%")
        for rows in (300, 1000)
        for shift in (0.1, 0.2, 0.3, 0.5, 1.0)
    ]
    calm = sum(found[rows][0.0] * windows for rows, windows in WINDOWS.items()) / sum(WINDOWS.values())
    return [*figures, Figure("no shift: windows with an alarm", calm * 100, "%", 1.0)]


def drawn(found: Mapping[int, Mapping[float, float]]) -> str:
    """The curves as an SVG file, with 95% intervals."""
    axes = Axes()
    body = axes.frame("shift of the mean, in standard deviations", "share of windows in which it is found")
    for rows, shares in found.items():
        for shift, share in shares.items():
            low, high = wilson(round(share * WINDOWS[rows]), WINDOWS[rows], 0.95)
            (x, top), (_, bottom) = axes.at(shift, high), axes.at(shift, low)
            body += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" '
            body += f'stroke="{COLOURS[rows]}" stroke-opacity="0.45" stroke-width="3"/>'
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (axes.at(*point) for point in shares.items()))
        body += f'<polyline points="{points}" fill="none" stroke="{COLOURS[rows]}" stroke-width="2"/>'
    for place, rows in enumerate(found):
        y = 190 + 16 * place
        body += f'<line x1="300" x2="320" y1="{y}" y2="{y}" stroke="{COLOURS[rows]}" stroke-width="3"/>'
        body += f'<text class="label" x="326" y="{y + 4}">{rows:,} rows</text>'
    picture = svg(420, 300, "Detection power of the data-quality monitor", f"<style>{LOOK}</style>{body}")
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="640" ', 1) + "\n"


def main() -> None:
    """Measure and draw."""
    found = measured()
    Path(PLOT).write_text(drawn(found))
    for rows, shares in found.items():
        print(rows, " ".join(f"{shift:g}:{share:.0%}" for shift, share in shares.items()))


if __name__ == "__main__":
    main()
