"""Names of physical resources as CloudFormation makes them: stack, logical id and a suffix, within the limit."""

from __future__ import annotations

import base64
import hashlib

SUFFIX_LENGTH = 12


def suffix(stack_id: str, logical: str, turn: int) -> str:
    """Twelve letters and digits that belong to this stack, resource and turn (each replacement is a turn)."""
    digest = hashlib.sha256(f"{stack_id} {logical} {turn}".encode()).digest()
    return base64.b32encode(digest).decode().replace("=", "")[:SUFFIX_LENGTH]


def physical_name(stack_name: str, logical: str, ending: str, limit: int, *, lower: bool = False) -> str:
    """``stack-logical-SUFFIX``, the first two shortened fairly when it would be longer than ``limit``."""
    room = limit - len(ending) - 2
    if room < 2:
        return (ending.lower() if lower else ending)[:limit]
    if len(stack_name) + len(logical) > room:
        for_logical = min(len(logical), max(room // 2, room - len(stack_name)))
        logical, stack_name = logical[:for_logical], stack_name[: room - for_logical]
    parts = (part.strip("-") for part in (stack_name, logical, ending))
    name = "-".join(part for part in parts if part)
    return name.lower() if lower else name
