"""References to variables in an action's configuration: ``#{namespace.name}``.

See https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

REFERENCE = re.compile(r"#\{([A-Za-z0-9@\-_]+)\.([A-Za-z0-9@\-_]+)\}")
OPENING = "#{"
EXECUTION_NAMESPACE = "codepipeline"
PIPELINE_NAMESPACE = "variables"
EXECUTION_VARIABLE = "PipelineExecutionId"


class Unresolved(Exception):
    """A reference names a variable that no action has produced."""


def references(text: str) -> Iterator[tuple[str, str]]:
    """The (namespace, name) pairs a text refers to; raises ValueError for an opening that is no reference."""
    if text.count(OPENING) != len(REFERENCE.findall(text)):
        raise ValueError(f"{text!r:.200} contains '#{{' that does not begin a reference like '#{{namespace.variable}}'")
    yield from REFERENCE.findall(text)


def resolve(configuration: Mapping[str, str], namespaces: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The configuration with every reference replaced by its value; raises Unresolved naming all that have none."""
    missing: list[str] = []

    def value(match: re.Match[str]) -> str:
        namespace, name = match.groups()
        found = namespaces.get(namespace, {}).get(name)
        if found is None:
            missing.append(match[0])
            return ""
        return found

    resolved = {key: REFERENCE.sub(value, text) for key, text in configuration.items()}
    if missing:
        raise Unresolved(f"Unable to resolve the following variable(s): {', '.join(dict.fromkeys(missing))}")
    return resolved
