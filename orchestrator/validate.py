"""Validate: from a config as written to a Workload that every later room may trust, or every problem at once.

Nothing stops at the first mistake: each part is read as far as it can be, whatever is wrong elsewhere. This module
reads the document, its stages and the order of its pipelines; ``reading`` reads each pipeline through its blueprint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

from orchestrator import floor, forms, patterns
from orchestrator.blueprint import Blueprint, Catalog, TypeInfo
from orchestrator.errors import ConfigInvalid, Problem
from orchestrator.explain import join, nearest, one_of, path_to, problems_of, shown
from orchestrator.guard import hostile, oversized
from orchestrator.model import CHANGE_SETS, STACK_SETS, PipelineSpec, Stage, Workload
from orchestrator.reading import Around, Findings, read_pipeline
from orchestrator.settings import Settings

ENVELOPE = {"$schema", "version", "pipeline_type", "model_name", "description", "tags", "stages"}


def validate(body: object, catalog: Catalog, settings: Settings) -> Workload:
    """Read a config of either form.

    Returns the workload with known keys only, old names replaced and defaults filled in. Raises ConfigInvalid with
    every problem: its JSON path in the document as written, the value, what is allowed, and what to do;
    SettingsMissing when the deployment demands reviews of a stage that it does not have.
    """
    return examine(body, catalog, settings)[0]


def examine(body: object, catalog: Catalog, settings: Settings) -> tuple[Workload, tuple[Problem, ...]]:
    """Like ``validate``, and also what deserves a second look although it is allowed."""
    too_large = oversized(body)
    if too_large:
        raise ConfigInvalid([too_large])
    if not isinstance(body, Mapping):
        raise ConfigInvalid([Problem("$", "The config must be an object.", shown(body), "An object.")])
    findings = Findings()
    findings.add(hostile(body))
    read = _read_workload if "pipelines" in body or body.get("version") == 2 else _read_one_pipeline
    workload = read(body, catalog, settings, findings)
    if findings.problems or workload is None:
        raise ConfigInvalid(findings.problems)
    return workload, findings.warnings


# ---- the workload form ----


def _read_workload(
    body: Mapping[str, Any], catalog: Catalog, settings: Settings, findings: Findings
) -> Workload | None:
    findings.add(_asked(body, "workload", settings))
    if "pipeline_type" in body:
        text = "`pipeline_type` belongs to each pipeline, not to the workload."
        findings.add([Problem("$.pipeline_type", text, fix="Move it into an item of `pipelines`.")])
    items = body.get("pipelines")
    pipelines = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    around = _around(2, body, settings, findings, (item.get("name") for item in pipelines))
    findings.add(_asked_of_stages(body, around.stages, settings))
    specs: dict[str, PipelineSpec] = {}
    for index, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, Mapping) and not findings.full:
            path = f"$.pipelines[{index}]"
            specs |= _read_item(item, path, catalog, around)
    findings.add(_unreviewed_models(specs, catalog, around))
    return None if findings.problems else _workload(body, body, around, [*specs.values()])


def _unreviewed_models(specs: Mapping[str, PipelineSpec], catalog: Catalog, around: Around) -> Iterator[Problem]:
    """What no person approves although it gets into a stage in which the deployment demands a review."""
    blueprints = {path: catalog.blueprints[spec.kind] for path, spec in specs.items()}
    if any(blueprint.scope == "stage" for blueprint in blueprints.values()):
        for path, spec in specs.items():
            yield from floor.lowered_model(spec, blueprints[path], path, around.stages, around.settings)


def _read_item(item: Mapping[str, Any], path: str, catalog: Catalog, around: Around) -> dict[str, PipelineSpec]:
    """Path -> the pipeline there; nothing when its type is not known."""
    name = item.get("name") if isinstance(item.get("name"), str) else path
    known = _known_type(item.get("pipeline_type"), path, catalog, around.findings)
    if name in around.earlier:
        text = f"There is another pipeline called {shown(name)!r}."
        around.findings.add([Problem(path_to(path, "name"), text, fix="Give each pipeline its own name.")])
    if known and known[1].review and name in {stage.name for stage in around.stages if stage.approval}:
        text = f"A stage that is approved is called {shown(name)!r} too; the reviews of both would be `Review-{name}`."
        around.findings.add([Problem(path_to(path, "name"), text, fix="Give the pipeline another name.")])
    read = {}
    if known:
        given = {key: value for key, value in item.items() if key not in ("name", "pipeline_type")}
        read[path] = read_pipeline(given, path, str(name), *known, around)
    around.earlier[str(name)] = known[1] if known else None
    return read


# ---- the form of one pipeline ----


def _read_one_pipeline(
    body: Mapping[str, Any], catalog: Catalog, settings: Settings, findings: Findings
) -> Workload | None:
    if "pipeline_type" not in body:
        fix = 'A workload has `"version": 2` and `pipelines`; a single pipeline has a `pipeline_type`.'
        findings.add([Problem("$", "This is neither a workload nor a pipeline.", fix=fix)])
    known = _known_type(body.get("pipeline_type"), "$", catalog, findings)
    if not known:
        return None
    info, blueprint = known
    outer = {"pipeline_type", "model_name"}
    if not info.deprecated:  # what an old type does not know, it ignores
        outer |= ENVELOPE - blueprint.schema["properties"].keys()
    envelope = {key: value for key, value in body.items() if key in outer}
    envelope["model_name"] = _model_name(body, info)
    if envelope["model_name"] is None:
        del envelope["model_name"]
    findings.add(_as_written(_asked(envelope, "one pipeline", settings), info, envelope))
    around = _around(1, envelope, settings, findings, ())
    findings.add(_asked_of_stages(envelope, around.stages, settings))
    given = {key: value for key, value in body.items() if key not in outer}
    spec = read_pipeline(given, "$", blueprint.kind.replace("_", "-"), info, blueprint, around)
    return None if findings.problems else _workload(envelope, body, around, [spec])


def _as_written(problems: Iterable[Problem], info: TypeInfo, envelope: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems, those of the model's name under the key that gives it, once."""
    key = info.model_name
    told_later = "model_name" not in envelope and key in {required.key for required in info.required}
    for problem in problems:
        if key == "model_name" or problem.path != "$.model_name":
            yield problem
        elif not told_later:
            texts = {name: getattr(problem, name).replace("`model_name`", f"`{key}`") for name in ("message", "fix")}
            yield replace(problem, path=path_to("$", key), **texts)


def _model_name(body: Mapping[str, Any], info: TypeInfo) -> Any:
    """The name of the model; the types of old took numbers and spaces around it, and one takes another key."""
    name = body.get(info.model_name)
    if not info.deprecated:
        return name
    return str(name).strip() if isinstance(name, str | int | float) and not isinstance(name, bool) else name


# ---- both ----


def _asked(
    document: Mapping[str, Any], form: Literal["workload", "one pipeline"], settings: Settings
) -> Iterator[Problem]:
    """What the schema of the form says against the document; the keys of the kinds are asked elsewhere."""
    validator = _validator(form)
    for error in validator.iter_errors(document):
        yield from problems_of(error, validator.schema, lambda way: join("$", way))
    names: set[object] = set()
    stages = document.get("stages")
    for index, stage in enumerate(stages if isinstance(stages, list) else []):
        name = stage.get("name") if isinstance(stage, Mapping) else None
        if isinstance(name, str) and name in names:
            text = f"There is another stage called {shown(name)!r}."
            yield Problem(f"$.stages[{index}].name", text, fix="Give each stage its own name.")
        names.add(name if isinstance(name, str) else None)
        region = stage.get("region", settings.region) if isinstance(stage, Mapping) else None
        if isinstance(region, str) and region != settings.region:
            yield Problem(
                f"$.stages[{index}].region",
                "A stage must be in the orchestrator's region: CodePipeline keeps its artifacts there.",
                shown(region),
                f"`{settings.region}`",
                "Leave the region out, or install an orchestrator in the other region for it.",
            )


def _asked_of_stages(body: Mapping[str, Any], stages: Iterable[Stage], settings: Settings) -> Iterator[Problem]:
    """What the way of deployment asks of the stages, those of the document or the deployment's own."""
    by_stack_sets, given = body.get("deployment") == STACK_SETS, body.get("stages")
    items = given if isinstance(given, list) else []
    named = [isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items]
    own = [f"$.stages[{index}]" for index, has_name in enumerate(named) if has_name]
    if by_stack_sets and not (settings.blueprint_bucket and settings.stack_sets_call_as):
        text = "This orchestrator has no stack sets: it was deployed without organizational units."
        fix = "Deploy it with them (`mlops deploy --stages ... --units ...`), or leave `deployment` out."
        yield Problem("$.deployment", text, STACK_SETS, "`change_set`", fix)
    for index, stage in enumerate(stages):
        path = own[index] if own else "$.stages"
        if not by_stack_sets:
            if own and stage.organizational_unit:
                text = f"The stage `{stage.name}` needs no organizational unit: no stack set deploys it."
                fix = 'Leave it out, or write a workload (`"version": 2`) with `"deployment": "stackset"`.'
                yield Problem(f"{path}.organizational_unit", text, stage.organizational_unit, fix=fix)
            continue
        if not stage.organizational_unit:
            text = f"The stage `{stage.name}` has no organizational unit, which a stack set needs to find its account."
            fix = "Add `organizational_unit`, the unit that holds the account." if own else "Give `stages` with units."
            yield Problem(path, text, allowed="A unit (`ou-...`) or the root (`r-...`) of the organization.", fix=fix)
        if stage.account == settings.account:
            text = f"The stage `{stage.name}` is in the orchestrator's own account, which no stack set of its reaches."
            fix = "Give it an account of its own, or leave `deployment` out."
            yield Problem(f"{path}.account" if own else path, text, stage.account, fix=fix)


@lru_cache(maxsize=2)
def _validator(form: Literal["workload", "one pipeline"]) -> Any:
    from jsonschema import Draft7Validator
    from jsonschema.validators import extend

    make: Any = extend
    asking = make(Draft7Validator, {"pattern": patterns.keyword})
    return asking(forms.WORKLOAD if form == "workload" else forms.ONE_PIPELINE)


def _known_type(given: object, path: str, catalog: Catalog, findings: Findings) -> tuple[TypeInfo, Blueprint] | None:
    """The type and its blueprint, or None when there is no such type (which is then told)."""
    name = given.strip() if isinstance(given, str) else ""
    if name in catalog.types:
        return catalog.types[name], catalog.for_type(name)
    current = [info.name for info in catalog.types.values() if not info.deprecated]
    text = f"Pipeline type {shown(given)!r} is not supported." if given is not None else "`pipeline_type` is missing."
    place = path_to(path, "pipeline_type")
    findings.add([Problem(place, text, shown(given), one_of(current), nearest(name, catalog.types))])
    return None


def _around(
    form: Literal[1, 2], body: Mapping[str, Any], settings: Settings, findings: Findings, names: Iterable[object]
) -> Around:
    tags = body.get("tags")
    findings.add(floor.lowered_stages(body.get("stages"), settings))
    return Around(
        settings=settings,
        form=form,
        model_name=str(body.get("model_name", "")),
        stages=floor.raised(_stages(body.get("stages"), settings), settings),
        tags=tags if isinstance(tags, Mapping) else {},
        findings=findings,
        all_names=frozenset(name for name in names if isinstance(name, str)),
    )


def _stages(given: object, settings: Settings) -> tuple[Stage, ...]:
    """The stages of the document, or the deployment's; of malformed ones only what can still be asked about."""
    items = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []
    stages = tuple(
        Stage(
            name=item["name"],
            account=str(item.get("account", "")),
            region=str(item.get("region", settings.region)),
            approval=bool(item.get("approval", index > 0)),
            organizational_unit=str(item.get("organizational_unit", "")),
        )
        for index, item in enumerate(items)
        if isinstance(item.get("name"), str)
    )
    return stages or settings.stages


def _workload(
    envelope: Mapping[str, Any], body: Mapping[str, Any], around: Around, specs: list[PipelineSpec]
) -> Workload:
    return Workload(
        form=around.form,
        model_name=around.model_name,
        stages=around.stages,
        pipelines=tuple(specs),
        description=str(envelope.get("description", "")),
        tags=dict(around.tags),
        source=body,
        deployment=STACK_SETS if envelope.get("deployment") == STACK_SETS else CHANGE_SETS,
    )
