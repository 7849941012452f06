"""Run every bench and print one table each: ``python -m bench [name ...]``; ``--write`` renews ``bench/README.md``.

Absolute times mean nothing on a shared machine; what is compared is measured in the same run.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import bench
from bench.measure import Figure, markdown

README = Path(__file__).parent / "README.md"
MARK = "<!-- figures -->"


def main(argv: list[str]) -> int:
    """Run the named benches (all without names); non-zero when a figure is beyond its limit."""
    names = [name for name in argv if not name.startswith("-")]
    texts, missed = [], 0
    for module in pkgutil.iter_modules(bench.__path__):
        if module.name in ("__main__", "measure") or (names and module.name not in names):
            continue
        loaded = importlib.import_module(f"bench.{module.name}")
        figures: list[Figure] = loaded.run()
        missed += sum(not figure.holds for figure in figures)
        text = f"### {module.name}\n\n{(loaded.__doc__ or '').strip()}\n\n{markdown(figures)}\n"
        print(text, flush=True)
        texts.append(text)
    if "--write" in argv:
        head = README.read_text().split(MARK)[0]
        README.write_text(head + MARK + "\n\n" + "\n".join(texts))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
