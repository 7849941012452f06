"""The fixture of the Lambda tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lambda_rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "home")
    yield made
    made.embedded.stop()
