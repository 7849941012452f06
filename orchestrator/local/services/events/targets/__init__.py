"""The kinds of targets: each file here with a ``TARGET`` is one."""

from __future__ import annotations

import importlib
import pkgutil

from orchestrator.local.services.events.target import Target


def find_targets() -> dict[str, Target]:
    """Service in the ARN -> the kind of target."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    kinds: list[Target] = [module.TARGET() for module in modules]
    return {kind.service: kind for kind in kinds}
