"""One embedded AWS for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from codebuild_rig import Rig


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("home"))
    yield made
    made.embedded.stop()


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    shared.settings()
    yield shared
