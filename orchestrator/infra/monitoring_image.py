"""The source of the monitoring image: what `pipelines/monitoring-image` builds, as a zip.

    python -m orchestrator.infra.monitoring_image dist/monitoring-image.zip

It holds the Dockerfile, the pinned requirements and the runtime of this product, and nothing else. The same files give
the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import orchestrator
from orchestrator.archive import zipped
from orchestrator.blueprint import default_root

FOLDER = "pipelines/monitoring-image"
CONTEXT = ("Dockerfile", "requirements.txt")


def files() -> Iterator[tuple[str, bytes]]:
    """Every file of the build context, by its path in it."""
    for name in CONTEXT:
        yield name, (default_root() / FOLDER / name).read_bytes()
    package = Path(orchestrator.__file__).parent
    for path in [package / "__init__.py", *sorted((package / "runtime").rglob("*.py"))]:
        yield f"orchestrator/{path.relative_to(package).as_posix()}", path.read_bytes()


def build() -> bytes:
    """The zip's bytes."""
    return zipped(dict(files()))


def main() -> None:
    """Write the zip to the path that is given."""
    parser = argparse.ArgumentParser(description="Make the zip that the monitoring image is built from.")
    parser.add_argument("target", type=Path)
    target: Path = parser.parse_args().target
    data = build()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    print(f"{target}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
