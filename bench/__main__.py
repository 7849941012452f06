"""Run every bench and print one table each: ``python -m bench [name ...]``.

``--write`` puts the tables into ``bench/README.md``; those of benches that were not run stay. ``--peers`` also runs the
benches beside other tools, in environments of their own: it installs about a GB of packages and takes minutes.

Absolute times mean nothing on a shared machine; what is compared is measured in the same run.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import bench
from bench.measure import Figure, markdown

README = Path(__file__).parent / "README.md"
MARK = "<!-- figures -->"


def main(argv: list[str]) -> int:
    """Run the named benches (all without names); non-zero when a figure is beyond its limit."""
    names = [name for name in argv if not name.startswith("-")]
    modules = [each.name for each in pkgutil.iter_modules(bench.__path__) if each.name not in ("__main__", "measure")]
    if strange := sorted(set(names) - set(modules)):
        print(f"There is no bench {', '.join(strange)}. There are: {', '.join(modules)}.", file=sys.stderr)
        return 2
    texts, missed = {}, 0
    for name in names or modules:
        loaded = importlib.import_module(f"bench.{name}")
        sections = {name: (loaded.run, loaded.__doc__)}
        if "--peers" in argv and hasattr(loaded, "peers"):
            sections[f"{name}, beside peers"] = (loaded.peers, loaded.peers.__doc__)
        for title, (run, about) in sections.items():
            figures: list[Figure] = run()
            missed += sum(not figure.holds for figure in figures)
            texts[title] = f"### {title}\n\n{inspect.cleandoc(about or '')}\n\n{markdown(figures)}\n"
            print(texts[title], flush=True)
    if "--write" in argv:
        README.write_text(renewed(README.read_text(), texts))
    return 1 if missed else 0


def renewed(readme: str, texts: dict[str, str]) -> str:
    """The text with these tables in it, beside those of other titles that it had."""
    head, _, tail = readme.partition(MARK)
    parts = re.split(r"^### ", tail, flags=re.MULTILINE)[1:]
    had = {part.splitlines()[0].strip(): f"### {part.strip()}\n" for part in parts}
    both = had | texts
    return head + MARK + "\n\n" + "\n".join(both[title] for title in sorted(both))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
