"""Which kinds of resources each action can be limited to, from ``actions.json``.

The table is made by ``tests/permissions/authorization_reference.py`` from the Service Authorization Reference as
cfn-lint carries it (MIT-0), kept to the services and the kinds that the embedded AWS has.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


@cache
def actions() -> dict[str, dict[str, list[str]]]:
    """prefix -> action in lower case -> kinds; no entry: no resource level, or none that ``kinds.py`` knows."""
    text = resources.files(__package__).joinpath("actions.json").read_text()
    found: dict[str, dict[str, list[str]]] = json.loads(text)
    return found


def kinds_of(prefix: str, action: str) -> list[str]:
    """The kinds of resources that an action (without its prefix) can be limited to."""
    return actions().get(prefix, {}).get(action.lower(), [])
