"""What a new bundle changes against the one that is deployed, said before anything is done. Pure.

Both bundles are read through their ``plan.json``: stack by stage, parameters and job input are compared value by
value, templates resource by resource. From a changed parameter the template tells which resources look at it, and
which of those CloudFormation replaces, so that their names change and the resources that name them change too.
A pipeline whose job runs anew may have new results; what only they decide is listed as following from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# Any change of one of these replaces it (every property is "Update requires: Replacement").
REPLACED_ON_CHANGE = frozenset({"AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig"})

Kind = Literal["added", "removed", "changed", "follows", "unchanged"]
Pair = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class StackChange:
    """What becomes of one stack. ``parameters`` and ``job_input`` hold (before, after); None is absent.

    ``resources`` are those that change for certain; ``following`` those that change when ``because_of`` (an earlier
    pipeline whose job runs anew) has other results than now. ``runs`` says whether the stack's job has other input.
    """

    pipeline: str
    stage: str
    account: str
    stack: str
    kind: Kind
    parameters: Mapping[str, Pair] = field(default_factory=dict)
    job_input: Mapping[str, Pair] = field(default_factory=dict)
    resources: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    because_of: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether the stack's job is asked for something else."""
        return bool(self.job_input)


@dataclass(frozen=True, slots=True)
class Changes:
    """All stacks in the order of their deployment, and whether the stages or pipelines themselves are others."""

    stacks: tuple[StackChange, ...]
    structure: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the new bundle changes nothing at all."""
        return not self.structure and all(stack.kind == "unchanged" for stack in self.stacks)

    def as_dict(self) -> dict[str, Any]:
        """The changes as JSON."""
        return {"structure": self.structure, "stacks": [_stack_document(stack) for stack in self.stacks]}

    def lines(self) -> list[str]:
        """The changes in sentences, one a line; what is unchanged is not mentioned."""
        found = ["The stages or pipelines are others: the CodePipeline itself is updated."] if self.structure else []
        return [*found, *(line for stack in self.stacks for line in _stack_lines(stack))]


def changes(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Changes:
    """Compare the files of two bundles (name -> bytes). An empty ``old`` adds everything."""
    before, after = _Bundle(old), _Bundle(new)
    found: list[StackChange] = []
    moving: dict[str, bool] = {}
    for key, stack in after.stacks.items():
        change = _compared(before.stacks.get(key), stack, before, after, moving)
        moving[stack["pipeline"]] = moving.get(stack["pipeline"], False) or change.kind != "unchanged"
        found.append(change)
    for key, stack in before.stacks.items():
        if key not in after.stacks:
            found.append(_change(stack, "removed"))
    return Changes(tuple(found), bool(old) and before.structure != after.structure)


# ---- reading a bundle ----


class _Bundle:
    """A bundle as its plan.json tells it."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        plan: Mapping[str, Any] = self.document("plan.json")
        self.pipelines = {pipeline["name"]: pipeline for pipeline in plan.get("pipelines", [])}
        self.stacks = {
            (name, stack["stage"]): {**stack, "pipeline": name}
            for name, pipeline in self.pipelines.items()
            for stack in pipeline["stacks"]
        }
        shaping = ("name", "kind", "template", "approval", "filled_in_by_the_run")
        pipelines = [{key: pipeline[key] for key in shaping} for pipeline in self.pipelines.values()]
        self.structure = (plan.get("stages"), pipelines)

    def document(self, name: str) -> Any:
        """A JSON file of the bundle; an absent one is empty."""
        return json.loads(self.files[name]) if name in self.files else {}

    def parameters(self, stack: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters of a stack, and its tags, which every resource of it carries."""
        document = self.document(stack["parameters_file"])
        tags = {f"tag {key}": value for key, value in document.get("Tags", {}).items()}
        return {**document.get("Parameters", {}), **tags}

    def job_input(self, stack: Mapping[str, Any]) -> Any:
        """The input of the stack's job; empty when it has none."""
        return self.document(stack.get("job_input_file", ""))

    def template(self, stack: Mapping[str, Any]) -> Mapping[str, Any]:
        """The template of a stack."""
        template: Mapping[str, Any] = self.document(self.pipelines[stack["pipeline"]]["template"])
        return template


# ---- comparing ----


def _compared(
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    before: _Bundle,
    after: _Bundle,
    moving: Mapping[str, bool],
) -> StackChange:
    if old is None:
        return _change(new, "added", resources=tuple(sorted(after.template(new).get("Resources", {}))))
    parameters = dict(_differences(before.parameters(old), after.parameters(new), deep=False))
    job_input = dict(_differences(before.job_input(old), after.job_input(new), deep=True))
    template = after.template(new)
    directly = _rewritten(before.template(old), template) | _looking_at(template, set(parameters))
    filled_in = after.pipelines[new["pipeline"]]["filled_in_by_the_run"]
    waiting = {name: source.partition(".")[0] for name, source in filled_in.items()}
    loose = {name: source for name, source in waiting.items() if moving.get(source)}
    resources = _with_dependants(template, directly)
    following = _with_dependants(template, _looking_at(template, set(loose))) - resources
    certain = bool(parameters or job_input or resources)
    return _change(
        new,
        "changed" if certain else "follows" if loose else "unchanged",
        parameters=parameters,
        job_input=job_input,
        resources=tuple(sorted(resources)),
        following=tuple(sorted(following)),
        because_of=tuple(sorted(set(loose.values()))),
    )


def _change(stack: Mapping[str, Any], kind: Kind, **more: Any) -> StackChange:
    return StackChange(stack["pipeline"], stack["stage"], stack["account"], stack["stack"], kind, **more)


def _differences(old: Any, new: Any, *, deep: bool, path: str = "") -> Iterator[tuple[str, Pair]]:
    """Every value that differs, by its dotted path; lists are compared as one value."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and (deep or not path):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), deep=deep, path=f"{path}.{key}".lstrip("."))
    elif old != new:
        yield path, (old, new)


def _rewritten(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """The resources that stand in the new template otherwise than in the old, or only in one of them."""
    before, after = old.get("Resources", {}), new.get("Resources", {})
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def _looking_at(template: Mapping[str, Any], parameters: set[str]) -> set[str]:
    """The resources that refer to one of the parameters, themselves or through a condition. Tags touch them all."""
    resources: Mapping[str, Any] = template.get("Resources", {})
    if any(name.startswith("tag ") for name in parameters):
        return set(resources)
    wanted = set(parameters)
    for name, condition in template.get("Conditions", {}).items():
        if wanted & set(_names(condition)):
            wanted.add(name)
    return {name for name, body in resources.items() if wanted & set(_names(body))}


def _with_dependants(template: Mapping[str, Any], changed: set[str]) -> set[str]:
    """The resources, and those that name one of them which is replaced."""
    resources: Mapping[str, Any] = template.get("Resources", {})
    found = set(changed)
    while True:
        replaced = {name for name in found if resources.get(name, {}).get("Type") in REPLACED_ON_CHANGE}
        more = {name for name, body in resources.items() if replaced & set(_names(body))} - found
        if not more:
            return found
        found |= more


def _names(body: Any) -> Iterator[str]:
    """Every name that intrinsic functions in ``body`` refer to."""
    if isinstance(body, list):
        for item in body:
            yield from _names(item)
    elif isinstance(body, Mapping):
        for key, value in body.items():
            if key in ("Ref", "Condition") and isinstance(value, str):
                yield value
            elif key == "Fn::GetAtt":
                yield value[0]
            elif key == "Fn::If":
                yield value[0]
                yield from _names(value[1:])
            elif key == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from (part.partition("}")[0].partition(".")[0] for part in text.split("${")[1:])
                yield from _names(value[1:] if isinstance(value, list) else [])
            else:
                yield from _names(value)


# ---- saying it ----


def _stack_document(stack: StackChange) -> dict[str, Any]:
    document: dict[str, Any] = {
        "pipeline": stack.pipeline,
        "stage": stack.stage,
        "account": stack.account,
        "stack": stack.stack,
        "change": stack.kind,
    }
    for name in ("parameters", "job_input"):
        pairs: Mapping[str, Pair] = getattr(stack, name)
        if pairs:
            document[name] = {key: {"before": before, "after": after} for key, (before, after) in pairs.items()}
    for name in ("resources", "following", "because_of"):
        if getattr(stack, name):
            document[name] = list(getattr(stack, name))
    return document


def _stack_lines(stack: StackChange) -> Iterator[str]:
    where = f"{stack.pipeline} in {stack.stage}"
    if stack.kind == "added":
        yield f"{where}: the stack {stack.stack} is made ({len(stack.resources)} resources)."
    elif stack.kind == "removed":
        yield f"{where}: no longer part of the project; its stack {stack.stack} stays until it is deleted."
    for name, (before, after) in {**stack.parameters, **stack.job_input}.items():
        yield f"{where}: {name} {_shown(before)} -> {_shown(after)}"
    if stack.kind == "changed":
        if stack.resources:
            yield f"{where}: changes {', '.join(stack.resources)}; nothing else of the stack."
        if stack.runs:
            yield f"{where}: its job runs anew."
    if stack.because_of:
        named = f": {', '.join(stack.following)}" if stack.following else ""
        yield f"{where}: follows the results of {', '.join(stack.because_of)}{named}."


def _shown(value: Any) -> str:
    text = "(none)" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else f"{text[:77]}..."
