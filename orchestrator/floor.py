"""The floor of a deployment: the reviews that it demands, which a config can add to and never take away.

The parameter ``StagesThatNeedApproval`` of the launch templates names stages of the deployment. The floor holds for
these names and for the accounts of these stages, because a config calls its own stages what it likes: whatever it
deploys into such an account waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.blueprint import Blueprint
from orchestrator.errors import Problem, SettingsMissing
from orchestrator.explain import one_of, path_to, shown
from orchestrator.model import PipelineSpec, Stage
from orchestrator.settings import Settings


def demands(name: object, account: object, settings: Settings) -> str:
    """The deployment's stage for whose sake a stage of this name in this account is reviewed; "" when none is.

    Raises SettingsMissing when the floor names a stage that the deployment does not have: nobody knows which account it
    was to protect.
    """
    named = settings.stages_that_need_approval
    owners = {stage.account: stage.name for stage in reversed(settings.stages) if stage.name in named}
    unknown = sorted(set(named) - {stage.name for stage in settings.stages})
    if unknown:
        raise SettingsMissing(
            f"StagesThatNeedApproval names stages that the deployment does not have: {', '.join(unknown)}.",
            hint="Deploy again with the stages themselves, or without these names: `mlops deploy --require-approval`.",
        )
    if isinstance(name, str) and name in named:
        return name
    return owners.get(account, "") if isinstance(account, str) else ""


def raised(stages: Iterable[Stage], settings: Settings) -> tuple[Stage, ...]:
    """The stages, each with the approval that the deployment demands; raises as ``demands``."""
    return tuple(
        replace(stage, approval=True) if demands(stage.name, stage.account, settings) else stage for stage in stages
    )


def lowered_stages(given: object, settings: Settings) -> Iterator[Problem]:
    """The stages of a document that say they need no approval although the deployment demands one."""
    for index, item in enumerate(given if isinstance(given, list) else []):
        if not isinstance(item, Mapping) or item.get("approval") is not False:
            continue
        stage = demands(item.get("name"), item.get("account"), settings)
        if stage:
            text = f"This deployment has every change reviewed in the stage `{stage}` and in its account."
            fix = "Write `true`, or leave `approval` out."
            yield Problem(f"$.stages[{index}].approval", text, value=False, allowed="`true`", fix=fix)


def lowered_model(
    spec: PipelineSpec, blueprint: Blueprint, path: str, stages: Iterable[Stage], settings: Settings
) -> Iterator[Problem]:
    """The keys by which a pipeline leaves its result unreviewed although a stage that demands a review gets it.

    A kind marks such a key in its schema with ``x-review``: the value with which a person reviews.
    """
    stage = next(filter(None, (demands(each.name, each.account, settings) for each in stages)), "")
    properties: Mapping[str, Any] = blueprint.schema["properties"] if stage else {}
    for key, rule in properties.items():
        reviewed, value = rule.get("x-review"), spec.config.get(key)
        if reviewed is not None and value in rule["enum"] and value != reviewed:
            text = f"This deployment has a person approve what gets into the stage `{stage}` and its account."
            fix = f"Write `{reviewed}`, or leave `{key}` out."
            yield Problem(path_to(path, key), text, shown(value), one_of([reviewed]), fix)
