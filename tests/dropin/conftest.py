"""The orchestrator in an embedded AWS, installed once for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.corridor.test_on_embedded_aws import Installed
from tests.local.conftest import Aws as Embedded


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    embedded = Embedded(tmp_path_factory.mktemp("embedded"))
    try:
        yield Installed(embedded)
    finally:
        embedded.stop()
