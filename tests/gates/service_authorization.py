"""Which actions AWS has, and which of them can be limited to resources: the Service Authorization Reference as cfn-lint
carries it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint

DATA = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"


@cache
def _services() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DATA.read_text())
    return loaded


def known(action: str) -> bool:
    """Whether AWS has the action; a wildcard stands for nothing."""
    service, _, name = action.partition(":")
    return name.lower() in _services().get(service, {}).get("Actions", {})


def limitable(action: str) -> bool:
    """Whether a policy can name the resources of the action."""
    service, _, name = action.partition(":")
    return bool(_services().get(service, {}).get("Actions", {}).get(name.lower(), {}).get("Resources"))
