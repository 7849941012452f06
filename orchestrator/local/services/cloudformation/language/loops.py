"""``Fn::ForEach``, the loop of the AWS::LanguageExtensions transform: repeated members written out."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.services.cloudformation.language.evaluation import Evaluator, text
from orchestrator.local.services.cloudformation.language.template import FOR_EACH


def unroll(node: Any, evaluator: Evaluator) -> Any:
    """The node with every loop in it replaced by its members.

    Collections may use parameters and mappings only. Raises ValidationError for malformed loops and for two
    members of one name.
    """
    if isinstance(node, list):
        return [unroll(item, evaluator) for item in node]
    if not isinstance(node, dict):
        return node
    members: dict[str, Any] = {}
    for key, member in node.items():
        additions = _turns(key, member, evaluator) if key.startswith(FOR_EACH) else {key: unroll(member, evaluator)}
        repeated = sorted(members.keys() & additions.keys())
        if repeated:
            raise invalid(f"Template error: {key} makes {', '.join(repeated)}, which is there already")
        members.update(additions)
    return members


def _turns(key: str, loop: Any, evaluator: Evaluator) -> dict[str, Any]:
    if not (isinstance(loop, list) and len(loop) == 3 and isinstance(loop[0], str) and isinstance(loop[2], dict)):
        raise invalid(f"Template error: {key} requires an identifier, a collection and an output fragment")
    identifier, collection, fragment = loop
    items = evaluator.value(collection)
    if not isinstance(items, list):
        raise invalid(f"Template error: the collection of {key} must be a list")
    members: dict[str, Any] = {}
    for item in map(text, items):
        turn = unroll(_substituted(fragment, identifier, item), evaluator)
        repeated = sorted(members.keys() & turn.keys())
        if repeated:
            raise invalid(f"Template error: {key} makes {', '.join(repeated)} twice")
        members.update(turn)
    return members


def _substituted(node: Any, identifier: str, item: str) -> Any:
    if isinstance(node, str):
        plain = node.replace("${" + identifier + "}", item)
        return plain.replace("&{" + identifier + "}", re.sub(r"[^A-Za-z0-9]", "", item))
    if isinstance(node, list):
        return [_substituted(member, identifier, item) for member in node]
    if isinstance(node, dict):
        if node == {"Ref": identifier}:
            return item
        return {
            _substituted(key, identifier, item): _substituted(member, identifier, item) for key, member in node.items()
        }
    return node
