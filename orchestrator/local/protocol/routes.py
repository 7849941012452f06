"""Which operation of a REST service a request is for, told from its method, path and query string."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from botocore.model import OperationModel, ServiceModel

from orchestrator.local.messages import Request

LABEL = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation's place: method, path and the query parameters that mark it."""

    operation: OperationModel
    method: str
    path: re.Pattern[str]
    names: tuple[str, ...]
    marks: frozenset[tuple[str, str]]

    def labels(self, request: Request) -> dict[str, str] | None:
        """What stands in the path for each name, or None when the request is not for this operation."""
        if request.method != self.method or not self.marks <= set(request.query):
            return None
        match = self.path.fullmatch(request.raw_path.rstrip("/") or "/")
        return dict(zip(self.names, map(unquote, match.groups()), strict=True)) if match else None


class Routes:
    """All operations of a REST service."""

    def __init__(self, model: ServiceModel) -> None:
        routes = [_route(model.operation_model(name)) for name in model.operation_names]
        # The more a route fixes, the earlier it is asked: /functions/{name}/policy before /functions/{name+}.
        self._routes = sorted(routes, key=lambda it: (-len(it.marks), len(it.names), -len(it.path.pattern)))

    def find(self, request: Request) -> tuple[OperationModel, dict[str, str]] | None:
        """The operation and what its path names, or None."""
        for route in self._routes:
            labels = route.labels(request)
            if labels is not None:
                return route.operation, labels
        return None


def _route(operation: OperationModel) -> Route:
    path, _, query = operation.http["requestUri"].partition("?")
    names, pattern, end = [], "", 0
    for match in LABEL.finditer(path):
        names.append(match[1])
        pattern += re.escape(path[end : match.start()]) + ("(.+)" if match[2] else "([^/]+)")
        end = match.end()
    pattern += re.escape(path[end:])
    marks = frozenset(parse_qsl(query, keep_blank_values=True))
    return Route(operation, operation.http["method"], re.compile(pattern.rstrip("/") or "/"), tuple(names), marks)
