"""cfn-lint rules for CodePipeline: what AWS checks only when a pipeline is made or runs.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference.html
https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works-conditions.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cfnlint.rules import CloudFormationLintRule, RuleMatch

Path = list[Any]
CLOUDFORMATION = "ActionMode StackName Capabilities ChangeSetName RoleArn TemplatePath TemplateConfiguration"
ACTIONS: dict[str, tuple[str, str]] = {
    # provider: the keys it needs, all keys it knows
    "CloudFormation": ("ActionMode StackName", f"{CLOUDFORMATION} OutputFileName ParameterOverrides"),
    "CodeBuild": ("ProjectName", "ProjectName PrimarySource BatchEnabled BuildspecOverride EnvironmentVariables"),
    "CodeCommit": ("RepositoryName BranchName", "RepositoryName BranchName PollForSourceChanges OutputArtifactFormat"),
    "CodeStarSourceConnection": (
        "ConnectionArn FullRepositoryId BranchName",
        "ConnectionArn FullRepositoryId BranchName OutputArtifactFormat DetectChanges",
    ),
    "Lambda": ("FunctionName", "FunctionName UserParameters"),
    "Manual": ("", "NotificationArn CustomData ExternalEntityLink"),
    "S3": ("", "S3Bucket S3ObjectKey PollForSourceChanges AllowOverrideForS3ObjectKey BucketName ObjectKey Extract"),
    "StepFunctions": ("StateMachineArn", "StateMachineArn ExecutionNamePrefix InputType Input"),
}
RULES: dict[str, str] = {
    "CloudWatchAlarm": "AlarmName AlarmStates WaitTime",
    "DeploymentWindow": "Cron TimeZone",
    "LambdaInvoke": "FunctionName UserParameters",
    "VariableCheck": "Variable Value Operator",
}
RESULTS = {"BeforeEntry": {"FAIL", "SKIP"}, "OnSuccess": {"FAIL", "ROLLBACK"}, "OnFailure": {"ROLLBACK"}}
MAY_SKIP = {"LambdaInvoke", "VariableCheck"}
VARIABLE = re.compile(r"[A-Za-z0-9@\-_]+")


class PipelineContracts(CloudFormationLintRule):
    """What a pipeline's actions, rules, triggers and variables must be."""

    id = "E9801"
    shortdesc = "A pipeline that CodePipeline would refuse or could not run"
    description = "Providers, configuration keys, conditions, triggers, variables, keys of cross-account actions"
    tags = ("codepipeline",)

    def match(self, cfn: Any) -> list[RuleMatch]:
        """The findings of a template."""
        found = []
        for name, resource in cfn.get_resources("AWS::CodePipeline::Pipeline").items():
            path = ["Resources", name, "Properties"]
            found += [RuleMatch([*path, *place], message) for place, message in _pipeline(resource["Properties"])]
        return found


def _pipeline(pipeline: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    if pipeline.get("PipelineType") != "V2":
        yield [], "PipelineType must be V2: stages have conditions"
    stages = [stage for stage in pipeline.get("Stages") or [] if isinstance(stage, dict)]
    sources, crosses = set(), False
    for number, stage in enumerate(stages):
        for index, action in enumerate(stage.get("Actions", [])):
            crosses |= isinstance(action.get("RoleArn"), str) and action["RoleArn"].startswith("arn:")
            if action["ActionTypeId"].get("Category") == "Source":
                sources.add(action["Name"])
            for place, message in _action(action):
                yield ["Stages", number, "Actions", index, *place], message
        for place, message in _conditions(stage):
            yield ["Stages", number, *place], message
    if crosses and "ArtifactStores" not in pipeline and not pipeline.get("ArtifactStore", {}).get("EncryptionKey"):
        yield ["ArtifactStore"], "actions in other accounts need a customer managed EncryptionKey"
    for number, trigger in enumerate(pipeline.get("Triggers") or []):
        if trigger.get("GitConfiguration", {}).get("SourceActionName") not in sources:
            yield ["Triggers", number], "the trigger names no source action"
    for number, variable in enumerate(pipeline.get("Variables") or []):
        value = variable.get("DefaultValue", "")
        if isinstance(value, str) and value and not VARIABLE.fullmatch(value):
            yield ["Variables", number, "DefaultValue"], f"{value!r} must match {VARIABLE.pattern}"


def _action(action: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    kind, configuration = action["ActionTypeId"], action.get("Configuration", {})
    provider = kind.get("Provider")
    if kind.get("Owner") != "AWS":
        return
    if provider not in ACTIONS:
        yield ["ActionTypeId", "Provider"], f"{provider!r} is none of {', '.join(ACTIONS)}"
        return
    needed, known = (set(words.split()) for words in ACTIONS[provider])
    for key in sorted(set(configuration) - known):
        yield ["Configuration", key], f"{provider} has no key {key!r}"
    for key in sorted(needed - set(configuration)):
        yield ["Configuration"], f"{provider} needs {key!r}"


def _conditions(stage: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for moment, results in RESULTS.items():
        declared = stage.get(moment, {})
        conditions = declared.get("Conditions", [])
        if moment == "OnFailure" and conditions and "RetryConfiguration" in declared:
            yield [moment], "a stage is tried again or has conditions, not both"
        if moment != "OnFailure" and "Result" in declared:
            yield [moment, "Result"], f"{moment} has no result of its own"
        for number, condition in enumerate(conditions):
            place: Path = [moment, "Conditions", number]
            rules = condition.get("Rules", [])
            providers = [rule.get("RuleTypeId", {}).get("Provider") for rule in rules]
            if condition.get("Result") not in results:
                yield place, f"the result must be one of {', '.join(sorted(results))}"
            if condition.get("Result") == "SKIP" and not set(providers) <= MAY_SKIP:
                yield place, f"SKIP is for {' and '.join(sorted(MAY_SKIP))}"
            for index, (rule, provider) in enumerate(zip(rules, providers, strict=True)):
                if provider not in RULES:
                    yield [*place, "Rules", index], f"{provider!r} is none of {', '.join(RULES)}"
                    continue
                for key in sorted(set(rule.get("Configuration", {})) - set(RULES[provider].split())):
                    yield [*place, "Rules", index, "Configuration", key], f"{provider} has no key {key!r}"
