"""The way forward: every active resource created or brought to its new properties, as early as its needs allow."""

from __future__ import annotations

from orchestrator.local.service import ServiceError
from orchestrator.local.services.cloudformation.engine.names import physical_name, suffix
from orchestrator.local.services.cloudformation.engine.records import StackResource, Work
from orchestrator.local.services.cloudformation.engine.run import Run
from orchestrator.local.services.cloudformation.engine.values import (
    Live,
    created_anew,
    known_type,
    metadata_of,
    properties_of,
)
from orchestrator.local.services.cloudformation.faults import ResourceFailed, invalid
from orchestrator.local.services.cloudformation.language.evaluation import Evaluator, text
from orchestrator.local.services.cloudformation.language.template import Resource
from orchestrator.local.services.cloudformation.providers import provider_of
from orchestrator.local.services.cloudformation.providers.contract import Provider

REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."
OUTPUT_LIMIT = 1024


def advance(run: Run) -> bool:
    """Begin whatever can be begun; whether everything is where it should be."""
    frame = run.frame()
    turn = run.operation.turn
    evaluator = frame.evaluate(Live(run.resources, run.exports))
    settled = {name for name, resource in run.resources.items() if resource.settled == turn}
    progress = True
    while progress and not run.operation.stopping():
        progress = False
        for logical, entry in frame.active.items():
            resource = run.resources.get(logical)
            if logical in settled or (resource and resource.work) or not frame.dependencies[logical] <= settled:
                continue
            if _begin(run, entry, evaluator, sorted(frame.dependencies[logical])):
                settled.add(logical)
                progress = True
            if run.operation.stopping():
                break
    return settled >= frame.active.keys() and not run.operation.stopping()


def _begin(run: Run, entry: Resource, evaluator: Evaluator, depends: list[str]) -> bool:
    """Begin what the resource needs; True when it needs nothing and is settled."""
    resource = run.resources.get(entry.logical) or StackResource(entry.logical, entry.type)
    new = resource.instance is None
    try:
        properties = properties_of(entry, evaluator, run.stack.goal.tags)
        resource.metadata = metadata_of(entry, evaluator)
        work = _work(run, resource, entry, properties)
    except (ServiceError, ResourceFailed) as error:
        run.resources[entry.logical] = resource
        status = "CREATE_FAILED" if new else "UPDATE_FAILED"
        run.documents.set_resource_status(run.stack, resource, status, error.message)
        run.operation.failed.append(entry.logical)
        run.save()
        return False
    resource.deletion_policy, resource.replace_policy = entry.deletion_policy, entry.replace_policy
    if work is None:
        if resource.instance:
            resource.instance.depends = depends
        resource.settled = run.operation.turn
        run.documents.save_resource(run.stack, resource)
        return True
    work.depends = depends
    if not resource.touched:
        resource.touched, resource.stable = True, resource.instance
    if new:
        resource.born = run.operation.id
    status = "CREATE_IN_PROGRESS" if work.action == "create" else "UPDATE_IN_PROGRESS"
    run.begin(resource, work, status, REPLACING if work.action == "replace" else "")
    return False


def _work(run: Run, resource: StackResource, entry: Resource, properties: dict[str, object]) -> Work | None:
    """Creation, replacement, change in place, or None when the resource is as it should be."""
    provider = provider_of(entry.type)
    if provider is None:
        raise invalid(f"Template format error: Unrecognized resource types: [{entry.type}]")
    if resource.instance is None:
        return _creation(run, resource, provider, properties, "create")
    if resource.status == "UPDATE_FAILED" and resource.stable and resource.stable.token == resource.instance.token:
        resource.instance.properties = resource.stable.properties  # how far the failed update got is not known
    before = resource.instance.properties
    if properties == before and resource.status == "CREATE_FAILED":
        work = run.work("create", "settle")
        work.properties, work.name, work.made = properties, resource.instance.name, resource.instance
        return work
    if properties == before and not provider.updates_always:
        return None
    if created_anew(known_type(entry.type), before, properties) or provider.replaces(before, properties):
        return _creation(run, resource, provider, properties, "replace")
    work = run.work("update", "change")
    work.properties, work.name = properties, resource.instance.name
    return work


def _creation(
    run: Run, resource: StackResource, provider: Provider, properties: dict[str, object], action: str
) -> Work:
    work = run.work(action, "check")
    work.properties = properties
    naming = provider.naming_for(properties)
    given = properties.get(naming.property) if naming else None
    if given:
        work.name, work.given_name = text(given), True
        return work
    resource.names_used += 1
    ending = suffix(run.stack.id, resource.logical, resource.names_used)
    limit, lower, last = (naming.limit, naming.lower, naming.ending) if naming else (128, False, "")
    work.name = physical_name(run.stack.name, resource.logical, ending, limit - len(last), lower=lower) + last
    return work


def outputs(run: Run) -> list[dict[str, str]]:
    """The stack's outputs, evaluated.

    Raises ValidationError when one has no value, or exports a name that another stack exports, or changes or drops
    an export that another stack imports.
    """
    frame = run.frame()
    evaluator = frame.evaluate(Live(run.resources, run.exports))
    found = []
    for name, entry in frame.outputs.items():
        value = text(evaluator.value(entry["Value"]))
        if len(value.encode()) > OUTPUT_LIMIT * 4:
            raise invalid(f"Template format error: Output {name} is longer than {OUTPUT_LIMIT * 4} bytes.")
        output = {"OutputKey": name, "OutputValue": value}
        if entry.get("Description"):
            output["Description"] = str(entry["Description"])
        if "Export" in entry:
            output["ExportName"] = text(evaluator.value(entry["Export"]["Name"]))
        found.append(output)
    _check_exports(run, found)
    return found


def _check_exports(run: Run, found: list[dict[str, str]]) -> None:
    new = {output["ExportName"]: output["OutputValue"] for output in found if "ExportName" in output}
    for name in new:
        taken = run.exports.get(name)
        if taken and taken[1] != run.stack.id:
            raise invalid(f"Export with name {name} is already exported by stack {taken[1]}.")
    for output in run.stack.outputs:
        name = output.get("ExportName", "")
        if not name or new.get(name) == output["OutputValue"]:
            continue
        importers = run.documents.importers(run.stack.account, run.stack.region, name)
        if importers:
            verb = "updated" if name in new else "deleted"
            raise invalid(f"Export {name} cannot be {verb} as it is in use by {', '.join(importers)}")
