"""The fixtures of the CodePipeline tests."""

from __future__ import annotations

from typing import Any

import pytest
from codepipeline_rig import Project


@pytest.fixture
def project(aws: Any) -> Project:
    return Project(aws)
