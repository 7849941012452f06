"""The fixture of SageMaker's tests."""

from __future__ import annotations

from typing import Any

import pytest
from sagemaker_rig import Workshop


@pytest.fixture
def workshop(aws: Any) -> Workshop:
    return Workshop(aws)
