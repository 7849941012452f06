"""The Service Authorization Reference as cfn-lint carries it, and the table that the embedded AWS has of it.

``python tests/permissions/authorization_reference.py`` writes the table anew.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "orchestrator/local/authorization/actions.json"
EXTRA = ("s3", "organizations", "apigateway")
"""Services whose resources are told by rules of their own, not by kinds."""


@cache
def reference() -> dict[str, Any]:
    """prefix -> Actions and Resources; names in lower case."""
    path = Path(cfnlint.__file__).parent / "data/AdditionalSpecs/Policies.json"
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def table() -> dict[str, dict[str, list[str]]]:
    """What belongs into ``actions.json``."""
    from orchestrator.local.authorization.kinds import KINDS

    made: dict[str, dict[str, list[str]]] = {}
    for prefix, kinds in sorted(KINDS.items()):
        made[prefix] = {}
        for action, about in sorted(reference()[prefix]["Actions"].items()):
            named = [kind.lower() for kind in about.get("Resources", [])]
            known = sorted({kind for kind in named if kind in kinds})
            if known:
                made[prefix][action] = known
    return made


def text() -> str:
    """The table as it is committed: an action a line."""
    return json.dumps(table(), indent=1).replace("[\n   ", "[").replace("\n  ]", "]").replace(",\n   ", ", ") + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    TABLE.write_text(text())
