"""The source of the monitoring image: what `pipelines/monitoring-image` builds, as a zip.

    python -m orchestrator.infra.monitoring_image dist/monitoring-image.zip

It holds the Dockerfile, the pinned requirements and the runtime of this product, and nothing else. The same files give
the same bytes.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import orchestrator
from orchestrator.blueprint import default_root

FOLDER = "pipelines/monitoring-image"
CONTEXT = ("Dockerfile", "requirements.txt")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold; every member has it."""


def files() -> Iterator[tuple[str, bytes]]:
    """Every file of the build context, by its path in it."""
    for name in CONTEXT:
        yield name, (default_root() / FOLDER / name).read_bytes()
    package = Path(orchestrator.__file__).parent
    for path in [package / "__init__.py", *sorted((package / "runtime").rglob("*.py"))]:
        yield f"orchestrator/{path.relative_to(package).as_posix()}", path.read_bytes()


def build() -> bytes:
    """The zip's bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(files()):
            member = zipfile.ZipInfo(name, EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)
    return buffer.getvalue()


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
