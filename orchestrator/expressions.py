"""The little language of blueprints: Jinja expressions, evaluated in a sandbox that nothing can be changed from.

``config.instance_count or 1`` is an expression; a template is not. A key that is absent from an object is
*missing*: it is not defined, false, equal to None, and so are the things inside it, so ``config.vpc.subnets`` may be
asked without asking for ``config.vpc`` first. Everything else that is unknown fails loudly: an unknown name, an
unknown attribute of a value that is no object, arithmetic or ordering with a missing value.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import ChainableUndefined, TemplateError
from jinja2.exceptions import UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from orchestrator.errors import BlueprintBroken


class Missing(ChainableUndefined):
    """An absent member of an object: chainable, and equal to None. An unknown name is no member: it raises at once."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, **rest: Any) -> None:
        if obj is missing:
            raise UndefinedError(f"unknown name {name!r}")
        super().__init__(hint, obj, name, **rest)

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Missing)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(None)


class ExpressionEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox; members of an object win over the methods of ``dict``, and only objects may lack a member."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``obj.attribute``; raises UndefinedError when a value that is no object has none of that name."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        found = super().getattr(obj, attribute)
        if isinstance(found, Missing) and not isinstance(obj, Mapping | Missing):
            raise UndefinedError(f"{type(obj).__name__} has no {attribute!r}")
        return found


_environment = ExpressionEnvironment(undefined=Missing)
_environment.tests["none"] = lambda value: value is None or isinstance(value, Missing)


@lru_cache(maxsize=2048)
def _compiled(expression: str) -> Any:
    return _environment.compile_expression(expression, undefined_to_none=True)


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """The value of ``expression`` where ``names`` are known.

    A missing value comes out as None; inside a list or an object that the expression builds it is left out.

    Raises BlueprintBroken when the expression is malformed, uses an unknown name, or fails; errors of the
    orchestrator raised by a called name (an unknown image, say) pass through unchanged.
    """
    try:
        return _without_missing(_compiled(expression)(**names))
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise BlueprintBroken(f"expression {expression!r}: {error}") from error


def _without_missing(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_missing(item) for key, item in value.items() if not isinstance(item, Missing)}
    if isinstance(value, list | tuple):
        return [_without_missing(item) for item in value if not isinstance(item, Missing)]
    return value


def members_of(name: str, expression: str) -> frozenset[str]:
    """The members of ``name`` an expression uses: ``members_of("config", "config.a + config.b.c")`` is {a, b}."""
    from jinja2 import nodes

    tree = _environment.parse("{{ (" + expression + ") }}")
    return frozenset(
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == name
    )
