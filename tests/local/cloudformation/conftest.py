"""One embedded AWS for each file of stack tests: stacks have names of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloudformation_rig import Cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = Cloud(tmp_path_factory.mktemp("home"))
    yield running
    running.stop()
