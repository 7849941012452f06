"""Our own services; each folder here that has a ``SERVICE`` is one, found by the gateway."""
