"""The fixture of the Step Functions tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from states_rig import Rig
from states_sagemaker import StandInSageMaker


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    StandInSageMaker.asked = []
    StandInSageMaker.refuse = ""
    made = Rig(tmp_path / "home")
    yield made
    made.embedded.stop()
