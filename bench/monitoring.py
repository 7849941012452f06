"""Baseline and analysis of a CSV of 1,000,000 rows and 20 columns, beside a bare polars scan of the same file.

The scan computes minimum, maximum, mean and the number of nulls, and is the least anyone could do with the file. Memory
at twice the rows beside once shows that it follows the block read, not the file.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from bench.measure import Figure, environment, process

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
import json, numpy as np, pandas as pd
frame = pd.read_csv({path!r})
features = []
for name, values in frame.items():
    there = values.dropna()
    feature = {{"name": name, "present": len(there), "missing": int(values.isna().sum())}}
    if there.dtype.kind in "if":
        counts, edges = np.histogram(there, 10)
        ordered = np.sort(there.to_numpy())
        sketch = ordered[:: max(1, len(ordered) // 2048)]
        feature |= {{"mean": there.mean(), "sum": there.sum(), "std": there.std(ddof=0), "min": there.min(),
                    "max": there.max(), "whole": bool((there == np.floor(there)).all()), "counts": counts.tolist(),
                    "edges": edges.tolist(), "sketch": sketch.tolist()}}
    else:
        counts = there.value_counts()
        feature |= {{"distinct": len(counts), "listed": counts.head(100).to_dict(), "once": int((counts == 1).sum())}}
    features.append(feature)
json.dumps(features, default=float)
"""
WHYLOGS = """
import pandas as pd, whylogs as why
why.log(pandas=pd.read_csv({path!r})).view().to_pandas()
"""
EVIDENTLY = """
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataSummaryPreset
data = Dataset.from_pandas(pd.read_csv({path!r}), data_definition=DataDefinition())
Report([DataSummaryPreset()]).run(data, None).dict()
"""
OURS = ["polars>=2.1", "numpy>=2.0"]
PEERS = {
    "pandas by hand": (PANDAS, ["pandas==3.1.1"], 1 / 1.5),
    "whylogs 1.6.4": (WHYLOGS, ["whylogs==1.6.4", "numpy<2", "pandas<3", "setuptools<81"], 0.1),
    "evidently 0.7.23": (EVIDENTLY, ["evidently==0.7.23", "pandas<3"], 0.1),
}
"""Peer -> what it runs, what it needs, and the most that ours may cost beside it."""
MANY = 10
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
    return [
        Figure("bare scan: CPU", scan["cpu"], "s", note="polars, streaming; import included"),
        Figure("baseline: CPU ratio to the scan", baseline["cpu"] / scan["cpu"], "×", 3),
        Figure("analysis with report: CPU ratio to the scan", analysis["cpu"] / scan["cpu"], "×"),
        Figure("baseline: peak memory", baseline["memory"], "MiB", 1024),
        Figure("baseline: peak memory at twice the rows", larger["memory"] / baseline["memory"], "×", 1.3),
        Figure("baseline: CPU at twice the rows", larger["cpu"] / baseline["cpu"], "×", 2.3),
        Figure("KS distance: largest error beside the exact one", json.loads(error.read_text()), "", 0.001),
    ]  # fmt: skip


def peers() -> list[Figure]:
    """The same baseline beside a bare scan, pandas by hand, whylogs and evidently, each in the environment it needs;
    and at ten million rows.

    All read the same CSV of 1,000,000 rows and 20 columns in the same run. The program in pandas makes the same
    statistics: moments, extremes, nulls, ten buckets, a sketch of quantiles, frequent and distinct texts. whylogs makes
    its profile, evidently its data summary.
    """
    with tempfile.TemporaryDirectory() as name:
        first, many, out = (str(Path(name) / each) for each in ("first.csv", "many.csv", "out"))
        process(MAKE.format(path=first, rows=ROWS, seed=1, shift=0.0), rounds=1)
        python = environment("ours", OURS)
        arguments = ["baseline", first, "--out", out, "--replace"]
        ours = process(COMMAND.format(arguments=arguments), ROUNDS, python)
        scan = process(SCAN.format(path=first), ROUNDS, python)
        figures = [
            Figure("baseline: CPU", ours["cpu"], "s", note=f"{ours['memory']:.0f} MiB; import included, as for all"),
            Figure("baseline beside a bare scan: CPU", ours["cpu"] / scan["cpu"], "×", 3, f"{scan['cpu']:.2f} s"),
        ]
        for peer, (code, requirements, limit) in PEERS.items():
            interpreter = environment(peer.split()[0], requirements)
            theirs = process(code.format(path=first), ROUNDS if peer.startswith("pandas") else 1, interpreter)
            note = f"{theirs['cpu']:.2f} s, {theirs['memory']:.0f} MiB"
            figures.append(Figure(f"baseline beside {peer}: CPU", ours["cpu"] / theirs["cpu"], "×", limit, note))
        for part in range(MANY):
            path = str(Path(name) / "part.csv")
            process(MAKE.format(path=path, rows=ROWS, seed=part, shift=0.0), rounds=1)
            _append(Path(path), Path(many), header=not part)
        arguments[1] = many
        large = process(COMMAND.format(arguments=arguments), 1, python)
        return [
            *figures,
            Figure("baseline of 10,000,000 rows: peak memory", large["memory"], "MiB", 1024),
            Figure("baseline of 10,000,000 rows: CPU beside 1,000,000", large["cpu"] / ours["cpu"], "×", 11),
        ]


def _append(part: Path, whole: Path, *, header: bool) -> None:
    with part.open("rb") as source, whole.open("ab") as target:
        if not header:
            source.readline()
        shutil.copyfileobj(source, target, 1 << 22)
