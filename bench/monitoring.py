"""Baseline and analysis of a CSV of 1,000,000 rows and 20 columns, beside a bare polars scan of the same file.

The scan computes minimum, maximum, mean and the number of nulls, and is the least anyone could do with the file. By
hand in pandas, when it is installed, means the same statistics a baseline has: moments, extremes, nulls, ten buckets,
the counts of the texts. Memory at twice the rows beside once shows that it follows the block read, not the file.
"""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

from bench.measure import Figure, process

ROWS = 1_000_000
ROUNDS = 3
MAKE = """
import numpy as np, polars as pl
random = np.random.default_rng({seed})
rows, columns = {rows}, {{}}
for place in range(10):
    values = pl.Series(random.normal(place + {shift}, 1 + place, rows))
    columns[f"real{{place}}"] = values.set(pl.Series(random.random(rows) < 0.05), None) if place < 5 else values
for place in range(4):
    columns[f"whole{{place}}"] = random.integers(0, 10 ** (place + 1), rows)
for place in range(2):
    columns[f"heavy{{place}}"] = random.lognormal(0, 2, rows)
for place, many in enumerate((5, 100, 5_000, 50_000)):
    columns[f"text{{place}}"] = "v" + pl.Series(random.integers(0, many, rows)).cast(pl.String)
pl.DataFrame(columns).write_csv({path!r})
"""
SCAN = """
import polars as pl
scan = pl.scan_csv({path!r})
numbers = [name for name, kind in scan.collect_schema().items() if kind.is_numeric()]
column = pl.col(numbers)
scan.select(column.min().name.suffix(" min"), column.max().name.suffix(" max"), column.mean().name.suffix(" mean"),
            pl.all().null_count()).collect(engine="streaming")
"""
PANDAS = """
import numpy as np, pandas as pd
frame = pd.read_csv({path!r})
frame.isna().sum()
for name, values in frame.items():
    values = values.dropna()
    if values.dtype.kind in "if":
        values.agg(["min", "max", "mean", "sum", "std"]), np.histogram(values, 10), np.sort(values.to_numpy())
    else:
        values.value_counts()
"""
COMMAND = "from orchestrator.runtime.monitoring.__main__ import main; assert main({arguments!r}) == 0"
DISTANCE = """
import json, numpy as np, polars as pl
from pathlib import Path
from scipy import stats
from orchestrator.runtime.monitoring import documents
from orchestrator.runtime.monitoring.profile import Profile
from orchestrator.runtime.monitoring.reading import Source
from orchestrator.runtime.monitoring.sketch import ks_distance
baseline = documents.features(json.loads(Path({statistics!r}).read_text()), "baseline")
profile = Profile()
for batch in Source(Path({second!r})).batches():
    profile.update(batch)
window, worst = documents.profiled(profile), 0.0
first, second = pl.read_csv({first!r}), pl.read_csv({second!r})
for name, feature in baseline.items():
    if feature.is_number:
        exact = stats.ks_2samp(first[name].drop_nulls(), second[name].drop_nulls(), method="asymp").statistic
        worst = max(worst, abs(exact - ks_distance(feature.whole, window[name].whole)[0]))
Path({out!r}).write_text(json.dumps(worst))
"""


def run() -> list[Figure]:
    """CPU ratios, memory and the error of the distance."""
    with tempfile.TemporaryDirectory() as name:
        return _figures(Path(name))


def _figures(folder: Path) -> list[Figure]:
    first, second, double = (str(folder / f"{each}.csv") for each in ("first", "second", "double"))
    for path, rows, seed, shift in ((first, ROWS, 1, 0.0), (second, ROWS, 2, 0.1), (double, 2 * ROWS, 3, 0.0)):
        process(MAKE.format(path=path, rows=rows, seed=seed, shift=shift), rounds=1)

    def command(*arguments: str, rounds: int = ROUNDS) -> dict[str, float]:
        return process(COMMAND.format(arguments=[*arguments, "--replace"]), rounds=rounds)

    out = str(folder / "baseline")
    scan = process(SCAN.format(path=first), rounds=ROUNDS)
    baseline = command("baseline", first, "--out", out)
    analysis = command("analyze", second, "--baseline", out, "--out", str(folder / "window"))
    larger = command("baseline", double, "--out", str(folder / "larger"), rounds=1)
    error = folder / "error.json"
    statistics = str(folder / "baseline" / "statistics.json")
    process(DISTANCE.format(statistics=statistics, first=first, second=second, out=str(error)), rounds=1)
    figures = [
        Figure("bare scan: CPU", scan["cpu"], "s", note="polars, streaming; import included"),
        Figure("baseline: CPU ratio to the scan", baseline["cpu"] / scan["cpu"], "×", 3),
        Figure("analysis with report: CPU ratio to the scan", analysis["cpu"] / scan["cpu"], "×"),
        Figure("baseline: peak memory", baseline["memory"], "MiB", 1024),
        Figure("baseline: peak memory at twice the rows", larger["memory"] / baseline["memory"], "×", 1.3),
        Figure("baseline: CPU at twice the rows", larger["cpu"] / baseline["cpu"], "×", 2.3),
        Figure("KS distance: largest error beside the exact one", json.loads(error.read_text()), "", 0.001),
    ]  # fmt: skip
    if find_spec("pandas") is not None:
        pandas = process(PANDAS.format(path=first), rounds=ROUNDS)
        figures.append(Figure("baseline: CPU ratio to pandas by hand", baseline["cpu"] / pandas["cpu"], "×", 1 / 1.5))
    return figures
