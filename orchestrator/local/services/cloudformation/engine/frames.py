"""Frames of stacks: a template, its parameters and the stack's own names, built once and kept while in use."""

from __future__ import annotations

import functools
import json
import threading
from collections import OrderedDict
from dataclasses import asdict

from orchestrator.local.services.cloudformation.engine.records import Goal, Stack
from orchestrator.local.services.cloudformation.language import template as templates
from orchestrator.local.services.cloudformation.language.frame import Frame, build
from orchestrator.local.services.cloudformation.language.names import pseudo_parameters
from orchestrator.local.services.cloudformation.language.template import Template

KEPT = 64


@functools.lru_cache(KEPT)
def parsed(body: str) -> Template:
    """The template of a text; raises ValidationError."""
    return templates.parse(body)


class Frames:
    """Builds frames and remembers the latest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Frame] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, stack: Stack, goal: Goal, body: str) -> Frame:
        """The frame of a stack's goal; raises ValidationError when the template and its parameters do not fit."""
        name = json.dumps([stack.id, goal.template, goal.parameters, goal.notifications], sort_keys=True)
        with self._lock:
            kept = self._kept.get(name)
            if kept:
                self._kept.move_to_end(name)
                return kept
        pseudo = pseudo_parameters(stack.account, stack.region, stack.id, stack.name, goal.notifications)
        frame = build(parsed(body), goal.values, pseudo)
        with self._lock:
            self._kept[name] = frame
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return frame


def copy_goal(goal: Goal) -> Goal:
    """An independent copy."""
    return Goal(**json.loads(json.dumps(asdict(goal))))
