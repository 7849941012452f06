"""Which program stands for an image in this home: the runtime's own knowledge and the user's ``images.json``."""

from __future__ import annotations

from orchestrator.local.services.sagemaker.plane import invalid
from orchestrator.local.world import World
from orchestrator.runtime.containers import BadRegistration, Container, Purpose, identify, registrations


def container(world: World, image: str, purpose: Purpose) -> Container:
    """The container; raises a ServiceError when ``images.json`` cannot be read."""
    try:
        return identify(image, purpose, registrations(world.home / "images.json"))
    except BadRegistration as error:
        raise invalid(str(error)) from error
