"""Jinja that cannot be talked into writing structure: a template becomes a JSON value, and values stay values.

A template is YAML with Jinja in it. What an expression yields never becomes text of the document: a placeholder
is written in its place, the YAML is parsed, and only then the value is put where the placeholder stands. So no text
of a user can open a bracket, start a line, or be read as a number; and an expression that is not a whole YAML node
(``name-{{ x }}``) is refused, because a placeholder inside a longer text is found. Only names that went through the
``ident`` filter are written as text, and they are letters and digits.

CloudFormation gives meaning to some values as well: these are refused where a value is put in
(a dynamic reference anywhere, an intrinsic function, ``${`` below ``Fn::Sub``, anything below a ``.$`` key of a
state machine).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, Undefined, pass_context
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context

from orchestrator.errors import BadRequest, BlueprintBroken
from orchestrator.expressions import ExpressionEnvironment, Missing

_MARK = "\ue000"
_PLACEHOLDER = re.compile(f"{_MARK}([0-9]+){_MARK}")
_VALUES = "_values"


class Identifier(str):
    """A text proven to be a logical id (letters and digits): the only kind of value written as it is."""

    __slots__ = ()


def identifier(value: object) -> Identifier:
    """A logical id from a name: ``my-pipeline`` becomes ``MyPipeline``. Raises BadRequest when nothing is left."""
    words = re.split(r"[^0-9A-Za-z]+", str(value))
    text = "".join(word[:1].upper() + word[1:] for word in words)
    if not text:
        raise BadRequest(f"No logical id can be made of {value!r}.")
    return Identifier(text)


def canonical(value: Any, indent: int | None = None) -> str:
    """JSON with sorted keys and only ASCII: the same value is always the same bytes."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=indent, separators=separators)


def render_document(folders: tuple[Path, ...], template: str, names: Mapping[str, Any], *, strict: bool = True) -> Any:
    """The JSON value that ``template``, looked for in ``folders`` in order, becomes where ``names`` are known.

    ``strict`` refuses every missing member; otherwise one may be asked for (``{% if config.vpc %}``), not written.

    Raises BlueprintBroken for a mistake of the template, BadRequest for a value that CloudFormation or Step
    Functions would take for an instruction.
    """
    values: list[Any] = []
    try:
        text = _environment(folders, strict).get_template(template).render({**names, _VALUES: values})
        document = _parsed(text)
    except (TemplateError, yaml.YAMLError, TypeError, ValueError, LookupError, OSError) as error:
        raise BlueprintBroken(f"{template}: {error}") from error
    return _Filling(template, values).fill(document, ())


@lru_cache(maxsize=32)
def _parsed(text: str) -> Any:
    """The document, which nobody may change. Values are not in the text, so configs of one shape share it."""
    return yaml.load(text, _Loader)  # noqa: S506  (a safe loader, see below)


@pass_context
def _finalize(context: Context, value: Any) -> str:
    if isinstance(value, Identifier):
        return str(value)
    if isinstance(value, Undefined):
        raise UndefinedError(f"{value._undefined_name!r} is missing and cannot be written")
    values = context[_VALUES]
    values.append(value)
    return f'"{_MARK}{len(values) - 1}{_MARK}"'


@lru_cache(maxsize=64)
def _environment(folders: tuple[Path, ...], strict: bool) -> ExpressionEnvironment:
    environment = ExpressionEnvironment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined if strict else Missing,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    environment.filters["ident"] = identifier
    environment.filters["json"] = canonical
    environment.tests["none"] = lambda value: value is None or isinstance(value, Missing)
    return environment


class _Filling:
    """Puts the values where their placeholders stand, and refuses those that would act there."""

    def __init__(self, template: str, values: list[Any]) -> None:
        self.template = template
        self.values = values

    def fill(self, node: Any, path: tuple[str, ...]) -> Any:
        if isinstance(node, Mapping):
            filled: dict[str, Any] = {}
            for raw, child in node.items():
                key = self._key(raw, path)
                if key in filled:
                    raise BlueprintBroken(f"{self.template}: {_where(path)}: the key {key!r} stands there twice")
                filled[key] = self.fill(child, (*path, key))
            return filled
        if isinstance(node, list):
            return [self.fill(child, (*path, str(index))) for index, child in enumerate(node)]
        return self._scalar(node, path)

    def _key(self, raw: object, path: tuple[str, ...]) -> str:
        key = self._scalar(raw, path)
        if not isinstance(key, str):
            raise BlueprintBroken(f"{self.template}: {_where(path)}: the key {key!r} is not a text")
        return key

    def _scalar(self, node: Any, path: tuple[str, ...]) -> Any:
        if not isinstance(node, str) or _MARK not in node:
            return node
        found = _PLACEHOLDER.fullmatch(node)
        if not found or int(found[1]) >= len(self.values):
            raise BlueprintBroken(f"{self.template}: {_where(path)}: an expression must be a whole YAML value")
        return inert(self.values[int(found[1])], path)


def inert(value: Any, path: tuple[str, ...] = ()) -> Any:
    """The value as plain JSON. Raises BadRequest when CloudFormation or Step Functions would act on it at ``path``."""
    if isinstance(value, Mapping):
        active = [key for key in value if str(key) == "Ref" or str(key).startswith("Fn::")]
        if active:
            raise BadRequest(f"{active[0]!r} cannot be a key here ({_where(path)}): CloudFormation would act on it.")
        return {inert(str(key), path): inert(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [inert(item, (*path, str(index))) for index, item in enumerate(value)]
    if isinstance(value, str):
        return _inert_text(str(value), path)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise BlueprintBroken(f"{_where(path)}: {type(value).__name__} is not a JSON value")


def _inert_text(text: str, path: tuple[str, ...]) -> str:
    if "{{resolve:" in text:
        raise BadRequest(f"{text!r} is a dynamic reference of CloudFormation; these are not resolved in a config.")
    if "${" in text and "Fn::Sub" in path:
        raise BadRequest(f"{text!r} cannot stand at {_where(path)}: CloudFormation would substitute it.")
    if any(key.endswith(".$") for key in path):
        raise BadRequest(f"{text!r} cannot stand at {_where(path)}: Step Functions would evaluate it.")
    return text


def _where(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the document"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with CloudFormation's short tags, without dates, and without a key that stands twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _function(name: str) -> Any:
    def construct(loader: Any, node: Any) -> Any:
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
            return {name: value.split(".", 1) if name == "Fn::GetAtt" else value}
        if isinstance(node, yaml.SequenceNode):
            return {name: loader.construct_sequence(node, deep=True)}
        return {name: _mapping(loader, node)}

    return construct


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise yaml.YAMLError(f"the key {key!r} stands twice{key_node.start_mark}")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_FUNCTIONS = ("Base64", "Equals", "FindInMap", "GetAtt", "If", "And", "Or", "Not", "Join", "Select", "Split", "Sub")
for _name in _FUNCTIONS:
    _Loader.add_constructor(f"!{_name}", _function(f"Fn::{_name}"))
for _name in ("Ref", "Condition"):
    _Loader.add_constructor(f"!{_name}", _function(_name))
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
