"""The way back of an update: every resource it touched brought to what it was."""

from __future__ import annotations

from orchestrator.local.services.cloudformation.engine.records import Leftover, StackResource
from orchestrator.local.services.cloudformation.engine.run import Run


def advance(run: Run) -> bool:
    """Begin whatever can be taken back; whether all of it is back."""
    turn = run.operation.turn
    pending = {
        resource.logical: resource
        for resource in run.resources.values()
        if resource.touched and resource.stable and resource.settled != turn
    }
    idle = not run.working and not run.operation.failed
    if pending and idle and not any(_free(run, logical, pending) for logical in pending):
        _begin(run, next(iter(pending.values())))  # a circle across the templates of several failed updates
    progress = True
    while progress:
        progress = False
        for logical, resource in list(pending.items()):
            if _free(run, logical, pending) and _begin(run, resource):
                del pending[logical]
                progress = True
    return not pending


def _free(run: Run, logical: str, pending: dict[str, StackResource]) -> bool:
    """Whether the resource can be taken back now: nothing it was made with waits to be."""
    resource = pending[logical]
    needs = set(resource.stable.depends) if resource.stable else set()
    return not (resource.work or logical in run.operation.failed or needs & (pending.keys() - {logical}))


def _begin(run: Run, resource: StackResource) -> bool:
    """Begin taking the resource back; True when that is done at once."""
    stable, instance = resource.stable, resource.instance
    if stable is None:
        return True
    in_place = instance is not None and instance.token == stable.token
    skipped = resource.logical in run.operation.skip
    if in_place and instance and not skipped and instance.properties != stable.properties:
        work = run.work("update", "change")
        work.properties, work.name, work.depends = stable.properties, stable.name, stable.depends
        run.begin(resource, work, "UPDATE_IN_PROGRESS")
        return False
    if instance is not None and not in_place:
        resource.leftovers.append(Leftover(instance))
    resource.instance, resource.settled = stable, run.operation.turn
    run.documents.set_resource_status(run.stack, resource, "UPDATE_COMPLETE")
    return True
