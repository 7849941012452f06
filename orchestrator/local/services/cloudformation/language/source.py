"""From the text of a template, YAML with short forms or JSON, to plain data."""

from __future__ import annotations

import json
from typing import Any

import yaml

from orchestrator.local.services.cloudformation.faults import invalid

MAX_BODY_BYTES = 51_200
"""Limit of a template in the request (AWS quotas: template body size in a request)."""
MAX_OBJECT_BYTES = 1_000_000
"""Limit of a template in S3."""

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TemplateLoader(_Loader):  # type: ignore[misc]
    """YAML as CloudFormation reads it: short forms of functions, dates as text."""


_TemplateLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
    """``!Sub x`` is ``{"Fn::Sub": x}``; ``!GetAtt a.b`` names the resource up to the first dot."""
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    return dict(loader.construct_mapping(node, deep=True))


_TemplateLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
_TemplateLoader.add_multi_constructor("!", _short_form)


def read(body: str) -> dict[str, Any]:
    """Parse a template's text.

    Raises ValidationError with CloudFormation's "Template format error" when it is neither well-formed JSON nor
    YAML, when it is not a mapping, repeats a key, or uses YAML aliases.
    """
    document = _json(body) if body.lstrip().startswith("{") else _yaml(body)
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    return {_text(key): _text_keys(value) for key, value in document.items()}


def _json(body: str) -> Any:
    try:
        return json.loads(body, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        try:
            return _yaml(body)  # a YAML flow mapping also begins with a brace
        except Exception:
            raise invalid(
                f"Template format error: JSON not well-formed. (line {error.lineno}, column {error.colno})"
            ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise invalid(f"Template format error: duplicate key {key}")
        document[key] = value
    return document


def _yaml(body: str) -> Any:
    loader = _TemplateLoader(body)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_repetition(root, set())
        return loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise invalid(f"Template format error: YAML not well-formed.{where}") from error
    except yaml.YAMLError as error:
        raise invalid(f"Template format error: YAML not well-formed. {error}") from error
    finally:
        loader.dispose()


def _refuse_repetition(node: Any, seen: set[int]) -> None:
    """An alias is a node met twice; a repeated key would silently lose a value."""
    if id(node) in seen:
        raise invalid("Template error: YAML aliases are not allowed in CloudFormation templates")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repetition(item, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if str(key.value) in keys:
                raise invalid(f"Template format error: duplicate key {key.value} (line {key.start_mark.line + 1})")
            keys.add(str(key.value))
            _refuse_repetition(key, seen)
            _refuse_repetition(value, seen)


def _text_keys(node: Any) -> Any:
    """Keys are text, whatever YAML made of them (account ids in mappings, ``on`` in an API definition)."""
    if isinstance(node, dict):
        return {_text(key): _text_keys(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_text_keys(item) for item in node]
    return node


def _text(key: Any) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    return key if isinstance(key, str) else str(key)
