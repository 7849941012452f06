"""What makes the resources: one file a service, found by looking, each a list ``PROVIDERS``."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from orchestrator.local.services.cloudformation.providers.contract import Provider


@functools.cache
def providers() -> dict[str, Provider]:
    """Every provider by its resource type."""
    found: dict[str, Provider] = {}
    for module in pkgutil.iter_modules(__path__):
        for provider in getattr(importlib.import_module(f"{__name__}.{module.name}"), "PROVIDERS", ()):
            found[provider.type] = provider
    return found


def provider_of(type_name: str) -> Provider | None:
    """The provider of a resource type, or None when the embedded AWS has none."""
    return providers().get(type_name)
