"""cfn-lint rule: nothing that a user wrote may be resolved by CloudFormation.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cfnlint.rules import CloudFormationLintRule, RuleMatch


class NoDynamicReferences(CloudFormationLintRule):
    """No text is a dynamic reference: our templates need none."""

    id = "E9803"
    shortdesc = "A dynamic reference"
    description = "A text that CloudFormation would replace by a secret or a parameter of the account"
    tags = ("security",)

    def match(self, cfn: Any) -> list[RuleMatch]:
        """The findings of a template."""
        return [
            RuleMatch(place, "a dynamic reference would be resolved")
            for part in ("Parameters", "Resources", "Outputs", "Mappings")
            for place in _references(cfn.template.get(part, {}), [part])
        ]


def _references(node: Any, path: list[Any]) -> Iterator[list[Any]]:
    if isinstance(node, str):
        if "{{resolve:" in node:
            yield path
        return
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield from _references(value, [*path, key])
