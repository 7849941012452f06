"""After the suite: what its embedded AWSs really did becomes evidence for the fidelity ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

EVIDENCE = Path(__file__).parent.parent / "build" / "evidence.json"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Written once, after all workers have ended, and only of the whole suite."""
    config = session.config
    partly = config.option.keyword or config.option.markexpr or getattr(config.option, "lf", False)
    if hasattr(config, "workerinput") or partly or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    from tests.fidelity.evidence import collect

    EVIDENCE.parent.mkdir(exist_ok=True)
    homes = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    EVIDENCE.write_text(json.dumps(collect(homes), indent=1) + "\n")
