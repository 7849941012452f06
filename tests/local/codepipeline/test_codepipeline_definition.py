"""What a declaration may say: a good one, and a table of what is wrong with spoilt ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline.actions import find_actions
from orchestrator.local.services.codepipeline.definition import check, normalize
from orchestrator.local.services.codepipeline.variables import Unresolved, resolve

ACCOUNT, REGION = "111111111111", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipeline"
TYPES = find_actions()


def action(category: str, provider: str, name: str = "", **more: Any) -> dict[str, Any]:
    type_id = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name or provider, "actionTypeId": type_id, **more}


GOOD = {
    "name": "project",
    "roleArn": ROLE,
    "pipelineType": "V2",
    "executionMode": "QUEUED",
    "artifactStore": {"type": "S3", "location": "artifacts"},
    "variables": [{"name": "level", "defaultValue": "high"}],
    "stages": [
        {
            "name": "Source",
            "actions": [
                action(
                    "Source",
                    "S3",
                    configuration={"S3Bucket": "b", "S3ObjectKey": "k", "PollForSourceChanges": "false"},
                    outputArtifacts=[{"name": "Bundle"}],
                    namespace="source",
                )
            ],
        },
        {
            "name": "Train",
            "actions": [
                action(
                    "Invoke",
                    "StepFunctions",
                    "Run",
                    configuration={
                        "StateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m",
                        "InputType": "FilePath",
                        "Input": "training/hub.input.json",
                    },
                    inputArtifacts=[{"name": "Bundle"}],
                    namespace="run",
                ),
                action(
                    "Invoke",
                    "Lambda",
                    "Results",
                    configuration={"FunctionName": "f", "UserParameters": '{"execution": "#{run.ExecutionArn}"}'},
                    namespace="training",
                    runOrder=2,
                ),
            ],
        },
        {
            "name": "Review",
            "actions": [action("Approval", "Manual", configuration={"CustomData": "#{variables.level}"})],
        },
        {
            "name": "Deploy",
            "onFailure": {"result": "ROLLBACK"},
            "actions": [
                action(
                    "Deploy",
                    "CloudFormation",
                    configuration={
                        "ActionMode": "CREATE_UPDATE",
                        "StackName": "s",
                        "RoleArn": ROLE,
                        "TemplatePath": "Bundle::template.yaml",
                        "TemplateConfiguration": "Bundle::dev.json",
                        "ParameterOverrides": '{"M": "#{training.Model}", "R": "#{codepipeline.PipelineExecutionId}"}',
                    },
                    inputArtifacts=[{"name": "Bundle"}],
                )
            ],
        },
    ],
}


def checked(pipeline: dict[str, Any]) -> dict[str, Any]:
    normal = normalize(pipeline)
    check(normal, ACCOUNT, REGION, TYPES)
    return normal


def test_a_good_declaration_is_accepted_and_completed() -> None:
    run = checked(GOOD)["stages"][1]["actions"][0]
    assert (run["runOrder"], run["outputArtifacts"]) == (1, [])
    assert normalize({**GOOD, "stages": []})["pipelineType"] == "V2"
    assert normalize({"stages": []}) == {"stages": [], "pipelineType": "V1", "executionMode": "SUPERSEDED"}


def test_the_providers_are_those_of_the_folder() -> None:
    assert {f"{key[0]}/{key[2]}" for key in TYPES} == {
        "Source/S3", "Approval/Manual", "Invoke/Lambda", "Invoke/StepFunctions", "Deploy/CloudFormation",
    }  # fmt: skip


Spoil = Callable[[dict[str, Any]], Any]


def configured(stage: int, **values: str | None) -> Spoil:
    def spoil(pipeline: dict[str, Any]) -> None:
        configuration = pipeline["stages"][stage]["actions"][0]["configuration"]
        for key, value in values.items():
            configuration.pop(key, None)
            if value is not None:
                configuration[key] = value

    return spoil


def first_action(stage: int, **members: Any) -> Spoil:
    return lambda pipeline: pipeline["stages"][stage]["actions"][0].update(members)


def in_stage(number: int, **members: Any) -> Spoil:
    return lambda pipeline: pipeline["stages"][number].update(members)


def typed(category: str, provider: str) -> Spoil:
    return first_action(1, actionTypeId=action(category, provider)["actionTypeId"])


CONDITION = {"conditions": [{"result": "FAIL", "rules": []}]}


def skip_unless(rules: int = 1, provider: str = "VariableCheck", commands: Any = None, **spoilt: Any) -> dict[str, Any]:
    """A condition before a stage whose rule is sound but for what is given; None takes a key away."""
    configuration = {"Variable": "#{variables.level}", "Value": "high", "Operator": "EQ", **spoilt}
    rule = {
        "name": "Check",
        "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": provider, "version": "1"},
        "configuration": {key: value for key, value in configuration.items() if value is not None},
        **({"commands": commands} if commands else {}),
    }
    return {"conditions": [{"result": "SKIP", "rules": [rule] * rules}]}


STRUCTURE = "InvalidStructureException"
STAGE = "InvalidStageDeclarationException"
ACTION = "InvalidActionDeclarationException"


@pytest.mark.parametrize("spoil, code, reason", [
    (lambda p: p.pop("artifactStore"), STRUCTURE, "Exactly one of artifactStore and artifactStores"),
    (lambda p: p.update(artifactStores={REGION: {}}), STRUCTURE, "Exactly one of"),
    (lambda p: p.update(roleArn="arn:aws:iam::222222222222:role/x"), "ValidationException", "Cross-account"),
    (lambda p: p.update(pipelineType="V1"), STRUCTURE, "variables, executionMode QUEUED, onFailure"),
    (lambda p: p.update(triggers=[{}]), STRUCTURE, "does not support triggers"),
    (lambda p: p.update(variables=[{"name": "a"}, {"name": "a"}]), STRUCTURE, "must be unique: a"),
    (lambda p: p.update(stages=p["stages"][:1]), STRUCTURE, "has 1 stage"),
    (lambda p: p["stages"].pop(0), STRUCTURE, "only contains source actions"),
    (lambda p: p["stages"].append({**p["stages"][0], "name": "Again"}), STRUCTURE, "not in stage 'Again'"),
    (in_stage(2, name="Train"), STAGE, "unique in a pipeline: Train"),
    (in_stage(1, actions=[]), STAGE, "has 0 actions"),
    (in_stage(1, beforeEntry=CONDITION), STAGE, "does not support the result FAIL of beforeEntry; SKIP is"),
    (in_stage(1, beforeEntry=skip_unless(rules=0)), STAGE, "has 0 rules; there should be 1 to 5"),
    (in_stage(1, beforeEntry=skip_unless(rules=2)), STAGE, "rule names must be unique in a condition: Check"),
    (in_stage(1, beforeEntry={"conditions": []}), STAGE, "has 0 conditions; there should be 1"),
    (in_stage(1, beforeEntry=skip_unless(provider="LambdaInvoke")), STAGE, "the rule Rule/AWS/LambdaInvoke/1"),
    (in_stage(1, beforeEntry=skip_unless(commands=["ls"])), STAGE, "does not support commands of a rule"),
    (in_stage(1, beforeEntry=skip_unless(Colour="red")), STAGE, "unknown key 'Colour'"),
    (in_stage(1, beforeEntry=skip_unless(Value=None)), STAGE, "missing the required key 'Value'"),
    (in_stage(1, beforeEntry=skip_unless(Value="")), STAGE, "'Value' has 0 characters"),
    (in_stage(1, beforeEntry=skip_unless(Operator="GT")), STAGE, "Operator GT is none of EQ, NE, CONTAINS, MATCHES"),
    (in_stage(1, beforeEntry=skip_unless(Operator="MATCHES", Value="(")), STAGE, "is no regular expression"),
    (in_stage(1, beforeEntry=skip_unless(Variable="#{training.Model}")), ACTION, "Rule 'Check' refers to"),
    (in_stage(1, onSuccess=CONDITION), STAGE, "does not support onSuccess"),
    (in_stage(1, onFailure=CONDITION), STAGE, "does not support onFailure.conditions"),
    (in_stage(1, onFailure={"result": "SKIP"}), STAGE, "onFailure.result SKIP"),
    (in_stage(0, onFailure={"result": "ROLLBACK"}), STAGE, "not available in the source stage"),
    (lambda p: p.update(executionMode="PARALLEL"), STAGE, "not available in a pipeline in PARALLEL mode"),
    (in_stage(1, onFailure={"result": "ROLLBACK", "retryConfiguration": {"retryMode": "ALL_ACTIONS"}}), STAGE,
     "needs onFailure.result RETRY"),
    (in_stage(1, blockers=[{"name": "b", "type": "Schedule"}]), "InvalidBlockerDeclarationException", "blockers"),
    (lambda p: p["stages"][1]["actions"].append(p["stages"][1]["actions"][0]), ACTION, "unique in stage 'Train': Run"),
    (typed("Build", "CodeBuild"), ACTION, "'CodeBuild', Owner: 'AWS', Version: '1') in action 'Run' is not available"),
    (first_action(0, actionTypeId=action("Source", "CodeStarSourceConnection")["actionTypeId"]), ACTION,
     "CodeStarSourceConnection"),
    (typed("Compute", "Commands"), ACTION, "not available in the embedded AWS"),
    (configured(3, Colour="red"), ACTION, "for action 'CloudFormation' contains unknown configuration 'Colour'"),
    (configured(0, S3Bucket=None), ACTION, "for action 'S3' is missing required configuration 'S3Bucket'"),
    (configured(2, CustomData="x" * 1001), ACTION, "'CustomData' for action 'Manual' has 1001 characters"),
    (configured(1, InputType="Path"), ACTION, "InputType must be Literal or FilePath"),
    (configured(1, Input=None), ACTION, "needs Input and an input artifact"),
    (configured(3, ActionMode="CREATE"), ACTION, "ActionMode must be one of"),
    (configured(3, ActionMode="CHANGE_SET_REPLACE"), ACTION, "needs the configuration 'ChangeSetName'"),
    (configured(3, RoleArn=None), ACTION, "needs the configuration 'RoleArn'"),
    (configured(3, TemplatePath="template.yaml"), ACTION, "of the form ArtifactName::FileName"),
    (configured(3, TemplatePath="Other::template.yaml"), ACTION, "'Other', which is not an input artifact"),
    (first_action(3, outputArtifacts=[{"name": "Out"}]), ACTION, "needs the configuration 'OutputFileName'"),
    (first_action(0, outputArtifacts=[]), ACTION, "0 output artifact(s); S3 takes 1 to 1"),
    (first_action(2, inputArtifacts=[{"name": "Bundle"}]), ACTION, "1 input artifact(s); Manual takes 0 to 0"),
    (first_action(3, inputArtifacts=[{"name": "Bundle"}, {"name": "Bundle"}]), ACTION, "names an input artifact twice"),
    (first_action(1, inputArtifacts=[{"name": "Later"}]), ACTION, "'Later' of action 'Run' is not an output artifact"),
    (lambda p: p["stages"][0]["actions"].append({**p["stages"][0]["actions"][0], "name": "S", "namespace": "x"}),
     ACTION, "unique in a pipeline: Bundle"),
    (first_action(1, timeoutInMinutes=5), ACTION, "available to manual approval actions only"),
    (first_action(1, region="eu-west-1"), ACTION, "artifactStores has no entry"),
    (first_action(1, commands=["ls"]), ACTION, "commands belong to the Commands action"),
    (first_action(1, namespace="source"), ACTION, "'source' is reserved or used"),
    (first_action(1, namespace="variables"), ACTION, "'variables' is reserved or used"),
    (configured(2, CustomData="#{variables.other}"), ACTION, "'#{variables.other}'"),
    (configured(2, CustomData="#{nobody.Value}"), ACTION, "'#{nobody.Value}', but no pipeline variable and no action"),
    (configured(2, CustomData="#{codepipeline.Name}"), ACTION, "'#{codepipeline.Name}'"),
    (configured(1, Input="#{training.Model}"), ACTION, "'#{training.Model}'"),
    (configured(2, CustomData="#{ spaced.Value }"), ACTION, "does not begin a reference"),
])  # fmt: skip
def test_refused(spoil: Spoil, code: str, reason: str) -> None:
    pipeline = copy.deepcopy(GOOD)
    spoil(pipeline)
    with pytest.raises(ServiceError) as caught:
        checked(pipeline)
    assert (caught.value.code, reason in caught.value.message) == (code, True), caught.value.message


def test_a_stage_may_be_skipped_by_a_variable() -> None:
    pipeline = copy.deepcopy(GOOD)
    in_stage(1, beforeEntry=skip_unless())(pipeline)
    checked(pipeline)


def test_actions_in_other_regions_need_a_store_there() -> None:
    pipeline = copy.deepcopy(GOOD)
    store = pipeline.pop("artifactStore")
    pipeline["artifactStores"] = {REGION: store, "eu-west-1": store}  # type: ignore[assignment]
    first_action(1, region="eu-west-1")(pipeline)
    checked(pipeline)


@pytest.mark.parametrize("text, expected", [
    ("plain", "plain"),
    ("#{run.Arn}", "arn:aws:x"),
    ('{"a": "#{run.Arn}", "b": "#{variables.level}"}', '{"a": "arn:aws:x", "b": "high"}'),
    ("#{run.Arn}#{run.Arn}", "arn:aws:xarn:aws:x"),
])  # fmt: skip
def test_resolve(text: str, expected: str) -> None:
    namespaces = {"run": {"Arn": "arn:aws:x"}, "variables": {"level": "high"}}
    assert resolve({"Input": text}, namespaces) == {"Input": expected}


def test_all_missing_variables_are_named() -> None:
    with pytest.raises(Unresolved, match=r"#\{run\.Arn\}, #\{x\.y\}"):
        resolve({"A": "#{run.Arn} #{x.y}", "B": "#{run.Arn}"}, {"run": {}})
