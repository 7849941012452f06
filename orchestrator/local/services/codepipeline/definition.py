"""What a pipeline's declaration must look like, checked as AWS checks it when it is created or updated.

See https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html. What AWS knows and
the embedded AWS does not (other providers, other conditions, Git triggers) is refused by name.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline.action import Action
from orchestrator.local.services.codepipeline.conditions import check_conditions, rules_of
from orchestrator.local.services.codepipeline.variables import (
    EXECUTION_NAMESPACE,
    EXECUTION_VARIABLE,
    PIPELINE_NAMESPACE,
    references,
)
from orchestrator.local.store import Document

STAGES = (2, 50)
ACTIONS_PER_STAGE = 50
CONFIGURATION_LENGTH = 1000
TypeId = tuple[str, str, str, str]
ActionTypes = Mapping[TypeId, Action]


def normalize(declaration: Mapping[str, Any]) -> Document:
    """The declaration with the defaults AWS shows in GetPipeline."""
    pipeline = copy.deepcopy(dict(declaration))
    pipeline.setdefault("pipelineType", "V1")
    pipeline.setdefault("executionMode", "SUPERSEDED")
    for stage in pipeline["stages"]:
        for action in stage["actions"]:
            action.setdefault("runOrder", 1)
            for member, default in (("configuration", {}), ("inputArtifacts", []), ("outputArtifacts", [])):
                action.setdefault(member, default)
    return pipeline


def check(pipeline: Document, account: str, region: str, types: ActionTypes) -> None:
    """Refuse a normalized declaration that cannot run; raises ServiceError with AWS's code."""
    _check_stores(pipeline)
    _check_features(pipeline)
    if pipeline["roleArn"].split(":")[4] != account:
        raise ServiceError("ValidationException", "Cross-account pass role is not allowed.")
    _check_stages(pipeline)
    for _, action in declared_actions(pipeline):
        _check_action(pipeline, action, region, types)
    _check_order(pipeline)
    _check_variables(pipeline)


def declared_actions(pipeline: Mapping[str, Any]) -> Iterator[tuple[Document, Document]]:
    """Every (stage, action) of a declaration in the order in which they run."""
    for stage in pipeline["stages"]:
        for action in sorted(stage["actions"], key=lambda action: action["runOrder"]):
            yield stage, action


def type_of(action: Mapping[str, Any]) -> TypeId:
    """Category, owner, provider and version of a declared action."""
    type_id = action["actionTypeId"]
    return (type_id["category"], type_id["owner"], type_id["provider"], type_id["version"])


def artifact_store(pipeline: Mapping[str, Any], region: str) -> Document:
    """The artifact store that actions in a region use."""
    stores: Mapping[str, Document] = pipeline.get("artifactStores") or {}
    return stores[region] if stores else pipeline["artifactStore"]


def _structure(message: str) -> ServiceError:
    return ServiceError("InvalidStructureException", message)


def _action_fault(message: str) -> ServiceError:
    return ServiceError("InvalidActionDeclarationException", message)


def _check_stores(pipeline: Document) -> None:
    if bool(pipeline.get("artifactStore")) == bool(pipeline.get("artifactStores")):
        raise _structure("Exactly one of artifactStore and artifactStores must be given in the pipeline.")


def _check_features(pipeline: Document) -> None:
    """V2 alone has variables, triggers, queues and failure results; some of it the embedded AWS lacks."""
    second = pipeline["pipelineType"] == "V2"
    given = [name for name in ("variables", "triggers") if pipeline.get(name)]
    if pipeline["executionMode"] != "SUPERSEDED":
        given.append(f"executionMode {pipeline['executionMode']}")
    given += [name for stage in pipeline["stages"] for name in _stage_features(stage)]
    if given and not second:
        raise _structure(f"Only pipelines of type V2 may have {', '.join(dict.fromkeys(given))}.")
    if pipeline.get("triggers"):
        raise _structure("The embedded AWS does not support triggers: there are no Git connections to watch.")
    names = [variable["name"] for variable in pipeline.get("variables", [])]
    if repeated := _repeated(names):
        raise _structure(f"Pipeline variable names must be unique: {repeated}")


def _stage_features(stage: Document) -> list[str]:
    return [name for name in ("beforeEntry", "onSuccess", "onFailure") if stage.get(name)]


def _check_stages(pipeline: Document) -> None:
    stages = pipeline["stages"]
    if not STAGES[0] <= len(stages) <= STAGES[1]:
        raise _structure(f"Pipeline has {len(stages)} stage(s). There should be {STAGES[0]} to {STAGES[1]} stages.")
    if repeated := _repeated(stage["name"] for stage in stages):
        raise ServiceError("InvalidStageDeclarationException", f"Stage names must be unique in a pipeline: {repeated}")
    for number, stage in enumerate(stages):
        _check_stage(pipeline, stage, first=number == 0)


def _check_stage(pipeline: Document, stage: Document, *, first: bool) -> None:
    name = stage["name"]
    if not 1 <= len(stage["actions"]) <= ACTIONS_PER_STAGE:
        message = f"Stage '{name}' has {len(stage['actions'])} actions; there should be 1 to {ACTIONS_PER_STAGE}."
        raise ServiceError("InvalidStageDeclarationException", message)
    if repeated := _repeated(action["name"] for action in stage["actions"]):
        raise _action_fault(f"Action names must be unique in stage '{name}': {repeated}")
    sources = [action["actionTypeId"]["category"] == "Source" for action in stage["actions"]]
    if first and not all(sources):
        raise _structure("Pipeline should start with a stage that only contains source actions")
    if not first and any(sources):
        raise _structure(f"Source actions are allowed in the first stage only, not in stage '{name}'")
    check_conditions(stage)
    if stage.get("onSuccess"):
        raise _stage_lacks(name, "onSuccess")
    if stage.get("blockers"):
        raise ServiceError("InvalidBlockerDeclarationException", f"Stage '{name}': blockers are not supported.")
    _check_on_failure(pipeline, stage, first=first)


def _stage_lacks(stage: str, what: str) -> ServiceError:
    message = f"Stage '{stage}': the embedded AWS does not support {what}."
    return ServiceError("InvalidStageDeclarationException", message)


def _check_on_failure(pipeline: Document, stage: Document, *, first: bool) -> None:
    on_failure = stage.get("onFailure")
    if not on_failure:
        return
    if on_failure.get("conditions"):
        raise _stage_lacks(stage["name"], "onFailure.conditions")
    result = on_failure.get("result")
    if result not in ("ROLLBACK", "RETRY"):
        raise _stage_lacks(stage["name"], f"onFailure.result {result}; ROLLBACK and RETRY are")
    if result == "ROLLBACK" and (first or pipeline["executionMode"] == "PARALLEL"):
        where = "the source stage" if first else "a pipeline in PARALLEL mode"
        message = f"Stage '{stage['name']}': rollback is not available in {where}."
        raise ServiceError("InvalidStageDeclarationException", message)
    if on_failure.get("retryConfiguration") and result != "RETRY":
        message = f"Stage '{stage['name']}': retryConfiguration needs onFailure.result RETRY."
        raise ServiceError("InvalidStageDeclarationException", message)


def _check_action(pipeline: Document, action: Document, region: str, types: ActionTypes) -> None:
    name, type_id = action["name"], type_of(action)
    category, owner, provider, version = type_id
    kind = types.get(type_id)
    if kind is None:
        available = ", ".join(sorted(f"{key[0]}/{key[2]}" for key in types))
        raise _action_fault(
            f"ActionType (Category: '{category}', Provider: '{provider}', Owner: '{owner}', Version: '{version}') "
            f"in action '{name}' is not available in the embedded AWS, which has {available}."
        )
    for member in ("commands", "environmentVariables", "outputVariables"):
        if action.get(member):
            raise _action_fault(f"Action '{name}': {member} belong to the Commands action, which is not available.")
    if "timeoutInMinutes" in action and category != "Approval":
        raise _action_fault(f"Action '{name}': timeoutInMinutes is available to manual approval actions only.")
    if action.get("region", region) != region and action["region"] not in pipeline.get("artifactStores", {}):
        raise _action_fault(f"Action '{name}' is in {action['region']}, for which artifactStores has no entry.")
    _check_configuration(action, kind)
    _check_counts(action, kind)
    for fault in kind.faults(action):
        raise _action_fault(f"Action '{name}': {fault}")


def _check_configuration(action: Document, kind: Action) -> None:
    name, configuration = action["name"], action["configuration"]
    for key in sorted(configuration.keys() - kind.required - kind.optional):
        raise _action_fault(f"Action configuration for action '{name}' contains unknown configuration '{key}'")
    for key in sorted(kind.required - configuration.keys()):
        raise _action_fault(f"Action configuration for action '{name}' is missing required configuration '{key}'")
    for key, value in configuration.items():
        if not 1 <= len(value) <= CONFIGURATION_LENGTH:
            raise _action_fault(
                f"Action configuration '{key}' for action '{name}' has {len(value)} characters; "
                f"there should be 1 to {CONFIGURATION_LENGTH}."
            )


def _check_counts(action: Document, kind: Action) -> None:
    for member, noun, (least, most) in (
        ("inputArtifacts", "input", kind.inputs),
        ("outputArtifacts", "output", kind.outputs),
    ):
        count = len(action[member])
        if not least <= count <= most:
            raise _action_fault(
                f"Action '{action['name']}' has {count} {noun} artifact(s); {kind.provider} takes {least} to {most}."
            )
        if repeated := _repeated(artifact["name"] for artifact in action[member]):
            raise _action_fault(f"Action '{action['name']}' names an {noun} artifact twice: {repeated}")


def _check_order(pipeline: Document) -> None:
    """An artifact has one producer, and it has run before any action that takes the artifact in."""
    produced: set[str] = set()
    for stage in pipeline["stages"]:
        for order in sorted({action["runOrder"] for action in stage["actions"]}):
            group = [action for action in stage["actions"] if action["runOrder"] == order]
            for action in group:
                for artifact in action["inputArtifacts"]:
                    if artifact["name"] not in produced:
                        raise _action_fault(
                            f"Input artifact '{artifact['name']}' of action '{action['name']}' is not an output "
                            "artifact of an action that runs before it."
                        )
            for action in group:
                for artifact in action["outputArtifacts"]:
                    if artifact["name"] in produced:
                        raise _action_fault(f"Output artifact names must be unique in a pipeline: {artifact['name']}")
                    produced.add(artifact["name"])


def _check_variables(pipeline: Document) -> None:
    """A reference names a pipeline variable or the namespace of an action that has run before."""
    declared = {variable["name"] for variable in pipeline.get("variables", [])}
    namespaces: set[str] = set()
    for stage in pipeline["stages"]:
        for rule in rules_of(stage):
            _check_references(f"Rule '{rule['name']}'", rule["configuration"], declared, namespaces)
        for order in sorted({action["runOrder"] for action in stage["actions"]}):
            group = [action for action in stage["actions"] if action["runOrder"] == order]
            for action in group:
                _check_references(f"Action '{action['name']}'", action["configuration"], declared, namespaces)
            for namespace in (action["namespace"] for action in group if action.get("namespace")):
                if namespace in namespaces or namespace in (EXECUTION_NAMESPACE, PIPELINE_NAMESPACE):
                    raise _action_fault(f"Namespace '{namespace}' is reserved or used by another action.")
                namespaces.add(namespace)


def _check_references(who: str, configuration: Mapping[str, str], declared: set[str], namespaces: set[str]) -> None:
    try:
        found = [reference for text in configuration.values() for reference in references(text)]
    except ValueError as problem:
        raise _action_fault(f"{who}: {problem}") from None
    for namespace, name in found:
        if namespace == PIPELINE_NAMESPACE:
            known = name in declared
        elif namespace == EXECUTION_NAMESPACE:
            known = name == EXECUTION_VARIABLE
        else:
            known = namespace in namespaces
        if not known:
            raise _action_fault(
                f"{who} refers to '#{{{namespace}.{name}}}', but no pipeline variable and no action "
                "that runs before it provides that."
            )


def _repeated(names: Iterable[str]) -> str:
    return ", ".join(sorted(name for name, count in Counter(names).items() if count > 1))
