"""Taking things away, dependents first: a whole stack, or what an update or its rollback left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.local.services.cloudformation.engine.documents import Documents
from orchestrator.local.services.cloudformation.engine.records import Instance, Leftover, Stack, StackResource
from orchestrator.local.services.cloudformation.engine.run import Run

GONE = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})
RETAINED = frozenset({"Retain", "RetainExceptOnCreate"})
Condemned = Callable[[StackResource], bool]


def mark_all(run: Run) -> None:
    """Everything goes, predecessors of replaced resources too."""
    mark_stack(run.documents, run.stack, run.resources)


def mark_stack(documents: Documents, stack: Stack, resources: dict[str, StackResource] | None = None) -> None:
    """As ``mark_all``; what is being worked on at this moment is marked when that ends."""
    for resource in (documents.resources(stack) if resources is None else resources).values():
        if resource.work:
            continue
        _release_stable(resource)
        resource.removing = resource.instance is not None or resource.status not in GONE
        documents.save_resource(stack, resource)


def mark_superseded(run: Run) -> None:
    """After an update: what was replaced, and what the template no longer has."""
    active = run.frame().active
    for resource in run.resources.values():
        _release_stable(resource)
        resource.removing = resource.logical not in active
        run.documents.save_resource(run.stack, resource)


def mark_new(run: Run) -> None:
    """After an update was taken back: what it had created."""
    for resource in run.resources.values():
        resource.removing = resource.touched and resource.stable is None
        run.documents.save_resource(run.stack, resource)


def _release_stable(resource: StackResource) -> None:
    """The predecessor of a replaced resource becomes a leftover."""
    stable, instance = resource.stable, resource.instance
    if stable and (instance is None or instance.token != stable.token):
        resource.leftovers.append(Leftover(stable, resource.replace_policy))
    resource.stable, resource.touched = None, False


def advance(run: Run) -> bool:
    """Begin whatever can go now; whether nothing is left that could."""
    progress = True
    while progress:
        progress = False
        standing = list(_standing(run))
        held = _needed(standing) | set(run.operation.failed)
        for resource, _ in standing:
            if resource.work or resource.logical in held:
                continue
            if _begin(run, resource):
                progress = True
                break
    if run.working:
        return False
    stuck = [resource for resource, _ in _standing(run) if resource.logical not in run.operation.failed]
    if stuck and not run.operation.failed:
        _begin(run, stuck[0])  # what is left needs each other in a circle across two templates
        return not run.working and not any(True for _ in _standing(run))
    return True


def _standing(run: Run) -> Iterator[tuple[StackResource, Instance]]:
    """What has to go and is still there."""
    for resource in run.resources.values():
        for leftover in resource.leftovers:
            yield resource, leftover.instance
        if resource.removing:
            yield resource, resource.instance or Instance("")


def _needed(standing: list[tuple[StackResource, Instance]]) -> set[str]:
    """The resources with whose help something that still stands was made."""
    return {name for resource, instance in standing for name in instance.depends if name != resource.logical}


def _begin(run: Run, resource: StackResource) -> bool:
    """Begin to remove the next physical resource of this one; True when there is nothing to do about it."""
    if resource.leftovers:
        return _discard(run, resource, resource.leftovers[0])
    instance = resource.instance
    if instance is None:
        return _forget(run, resource, "DELETE_COMPLETE")
    if _kept(run, resource):
        return _forget(run, resource, "DELETE_SKIPPED")
    work = run.work("delete", "remove")
    work.made, work.name, work.properties = instance, instance.name, instance.properties
    run.begin(resource, work, "DELETE_IN_PROGRESS")
    return False


def _discard(run: Run, resource: StackResource, leftover: Leftover) -> bool:
    instance = leftover.instance
    if leftover.policy in RETAINED:
        resource.leftovers = resource.leftovers[1:]
        run.documents.save_resource(run.stack, resource)
        run.documents.note_resource(run.stack, resource, "DELETE_SKIPPED", "", instance.physical_id)
        return True
    work = run.work("discard", "remove")
    work.made, work.name, work.properties = instance, instance.name, instance.properties
    run.begin(resource, work, "DELETE_IN_PROGRESS")
    return False


def _forget(run: Run, resource: StackResource, status: str) -> bool:
    """The resource is no longer this stack's."""
    physical_id = resource.physical_id
    resource.instance, resource.removing = None, False
    run.documents.set_resource_status(run.stack, resource, status, "", physical_id)
    return True


def abandon_failed(run: Run) -> None:
    """A forced deletion leaves behind what it could not remove."""
    for logical in run.operation.failed:
        _forget(run, run.resources[logical], "DELETE_SKIPPED")
    run.operation.failed = []
    run.save()


def _kept(run: Run, resource: StackResource) -> bool:
    """Whether the resource outlives its stack."""
    operation = run.operation
    if resource.logical in operation.retain:
        return True
    rolled_back = operation.kind != "delete" and bool(resource.born)
    policy = resource.deletion_policy
    if rolled_back and operation.keep_only_old and policy == "Retain":
        policy = "RetainExceptOnCreate"
    return policy == "Retain" or (policy == "RetainExceptOnCreate" and not rolled_back)


def blocked_by_importers(documents: Documents, stack: Stack) -> str:
    """The reason why a stack cannot go: somebody imports what it exports. Empty when nobody does."""
    for output in stack.outputs:
        name = output.get("ExportName")
        users = documents.importers(stack.account, stack.region, name) if name else []
        if users:
            return f"Delete canceled. Cannot delete export {name} as it is in use by {' and '.join(users)}."
    return ""
