"""Deploy/CloudFormation: makes, changes and deletes stacks, directly or through change sets.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/continuous-delivery-codepipeline-action-reference.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.local.services.codepipeline.action import DAY, Action, Success
from orchestrator.local.services.codepipeline.actions.cloudformation.change_sets import (
    execute_change_set,
    replace_change_set,
)
from orchestrator.local.services.codepipeline.actions.cloudformation.stacks import (
    create_or_update,
    delete,
    replace_on_failure,
)

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work

MODES: dict[str, tuple[Callable[[Work], float | Success], frozenset[str]]] = {
    "CREATE_UPDATE": (create_or_update, frozenset({"TemplatePath", "RoleArn"})),
    "REPLACE_ON_FAILURE": (replace_on_failure, frozenset({"TemplatePath", "RoleArn"})),
    "DELETE_ONLY": (delete, frozenset({"RoleArn"})),
    "CHANGE_SET_REPLACE": (replace_change_set, frozenset({"TemplatePath", "ChangeSetName", "RoleArn"})),
    "CHANGE_SET_EXECUTE": (execute_change_set, frozenset({"ChangeSetName"})),
}
"""Action mode -> what it does, and the configuration it needs beside StackName."""


class CloudFormation(Action):
    """One stack, one mode. Its outputs become the action's variables."""

    category = "Deploy"
    provider = "CloudFormation"
    required = frozenset({"ActionMode", "StackName"})
    optional = frozenset({
        "Capabilities",
        "ChangeSetName",
        "OutputFileName",
        "ParameterOverrides",
        "RoleArn",
        "TemplateConfiguration",
        "TemplatePath",
    })  # fmt: skip
    inputs = (0, 10)
    outputs = (0, 1)
    timeout = 3 * DAY

    def faults(self, declaration: Mapping[str, Any]) -> Iterator[str]:
        configuration = declaration["configuration"]
        mode = configuration["ActionMode"]
        if mode not in MODES:
            yield f"ActionMode must be one of {', '.join(MODES)}, not {mode!r}"
            return
        for key in sorted(MODES[mode][1] - configuration.keys()):
            yield f"ActionMode {mode} needs the configuration '{key}'"
        artifacts = {artifact["name"] for artifact in declaration["inputArtifacts"]}
        for key in ("TemplatePath", "TemplateConfiguration"):
            artifact, separator, path = configuration.get(key, "").partition("::")
            if key in configuration and not (separator and path):
                yield f"{key} must be of the form ArtifactName::FileName, not {configuration[key]!r}"
            elif key in configuration and artifact not in artifacts:
                yield f"{key} names the artifact {artifact!r}, which is not an input artifact of the action"
        if declaration["outputArtifacts"] and "OutputFileName" not in configuration:
            yield "an output artifact needs the configuration 'OutputFileName'"

    def advance(self, work: Work) -> float | Success:
        return MODES[work.configuration["ActionMode"]][0](work)


ACTION = CloudFormation
