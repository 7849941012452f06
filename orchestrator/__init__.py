"""MLOps Orchestrator: a committed ``mlops-config.json`` becomes live models in dev, staging and prod.

The files beside this one ship to the orchestrator Lambda; the folders (``cli``, ``infra``, ``local``,
``runtime``) stay home. ``docs/architecture.md`` follows one request through them.
"""

__version__ = "0.1.0"
