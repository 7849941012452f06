"""The action providers: each file here with an ``ACTION`` is one."""

from __future__ import annotations

import importlib
import pkgutil

from orchestrator.local.services.codepipeline.action import Action


def find_actions() -> dict[tuple[str, str, str, str], Action]:
    """(category, owner, provider, version) -> the provider."""
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    kinds: list[Action] = [module.ACTION() for module in modules]
    return {kind.type_id: kind for kind in kinds}
