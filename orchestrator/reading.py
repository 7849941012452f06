"""Reads one pipeline of a config through its blueprint: every question that can be asked of it alone.

``validate`` reads the document and asks what concerns several pipelines or stages at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from orchestrator import patterns
from orchestrator.blueprint import Blueprint, TypeInfo
from orchestrator.errors import Problem
from orchestrator.explain import nearest, one_of, path_to, problems_of, sentence, shown
from orchestrator.images import ImageUnknown, image_uri, is_legacy, pairing_problems
from orchestrator.intake import Intake, Way, take_in
from orchestrator.model import PipelineSpec, Reference, Stage
from orchestrator.settings import Settings
from orchestrator.staged import DEFAULT, at_stage, per_stage_values

HUB = "hub"
MAX_PROBLEMS = 100
Config = dict[str, Any]


class Findings:
    """Problems and warnings in the order found, each once; after ``MAX_PROBLEMS`` nobody reads on."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, str], Problem] = {}
        self._warnings: dict[tuple[str, str], Problem] = {}

    def add(self, problems: Iterable[Problem]) -> None:
        """Take in problems, until there are too many; the rest is not even looked for."""
        for problem in problems:
            if self.full:
                return
            self._problems.setdefault((problem.path, problem.message), problem)

    def warn(self, warnings: Iterable[Problem]) -> None:
        """Take in what is allowed but deserves a second look."""
        for warning in warnings:
            if len(self._warnings) >= MAX_PROBLEMS:
                return
            self._warnings.setdefault((warning.path, warning.message), warning)

    @property
    def full(self) -> bool:
        """Whether there are so many problems that looking for more helps nobody."""
        return len(self._problems) >= MAX_PROBLEMS

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems; when there are too many, the last one says so."""
        found = tuple(self._problems.values())
        return (*found, Problem("$", "There are more problems than these.")) if self.full else found

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All warnings."""
        return tuple(self._warnings.values())


@dataclass(frozen=True, slots=True)
class Around:
    """What a pipeline stands in: the deployment, the document, and the pipelines before it, by name."""

    settings: Settings
    form: Literal[1, 2]
    model_name: str
    stages: tuple[Stage, ...]
    tags: Mapping[str, str]
    findings: Findings
    earlier: dict[str, Blueprint | None] = field(default_factory=dict)
    all_names: frozenset[str] = frozenset()

    @property
    def stage_names(self) -> list[str]:
        """The names of the stages, in order."""
        return [stage.name for stage in self.stages]


def read_pipeline(
    given: Mapping[str, Any], path: str, name: str, info: TypeInfo, blueprint: Blueprint, around: Around
) -> PipelineSpec:
    """The pipeline with known keys only and defaults filled in; what is wrong with it goes to the findings."""
    intake = take_in(given, path, blueprint, info, around.stage_names)
    around.findings.add(intake.problems)
    around.findings.warn(intake.warnings)
    return _Reading(intake, name, info, blueprint, around).spec()


class _Reading:
    """One pipeline while it is being read."""

    def __init__(self, intake: Intake, name: str, info: TypeInfo, blueprint: Blueprint, around: Around) -> None:
        self.intake = intake
        self.name = name
        self.info = info
        self.blueprint = blueprint
        self.around = around
        self.findings = around.findings
        self.wrong: set[str] = set()  # top-level keys with a problem of their own
        self.told: set[str] = set()  # those of them of which the schema need not be asked any more

    def spec(self) -> PipelineSpec:
        references = dict(self._references())
        config = self._with_all_stages(self.intake.config)
        given = {key: value for key, value in config.items() if key not in references}
        missing = set(self._missing(given, references))
        stages = self._stages(config)
        for stage in stages:
            resolved = self._at(config, stage)
            self._ask_schema(resolved, stage, missing)
        for stage in stages:
            self._ask_checks(self._at(given, stage), references, stage)
            self._ask_images(self._at(given, stage), stage)
        return PipelineSpec(self.name, self.info.name, self.blueprint.kind, given, references)

    # ---- stages ----

    def _stages(self, config: Config) -> tuple[Stage, ...]:
        """The stages to ask about: all where a value differs, else the first, for the others give the same answers."""
        if self.blueprint.scope == "hub":
            return (Stage(HUB, self.around.settings.account, self.around.settings.region),)
        same = not any(True for _ in per_stage_values(config, self.blueprint.schema, self.around.stage_names))
        regions = {stage.region for stage in self.around.stages}
        return self.around.stages[:1] if same and len(regions) == 1 else self.around.stages

    def _at(self, config: Config, stage: Stage) -> Config:
        resolved: Config = at_stage(config, self.blueprint.schema, self.around.stage_names, stage.name)
        return resolved

    def _with_all_stages(self, config: Config) -> Config:
        """The config with per-stage objects that name exactly the stages; tells which do not cover them."""
        names = self.around.stage_names
        for way, value in list(per_stage_values(config, self.blueprint.schema, names)):
            path = self.intake.locate(way)
            if self.blueprint.scope == "hub":
                self._wrong(way, Problem(path, "This pipeline runs once, before the stages.", fix="Give one value."))
            elif DEFAULT not in value and set(names) - set(value):
                lacking = ", ".join(f"`{each}`" for each in names if each not in value)
                fix = f"Add {lacking}, or `{DEFAULT}` for all others."
                self._wrong(way, Problem(path, f"There is no value for {lacking}.", allowed=one_of(names), fix=fix))
            unknown = [key for key in value if key not in names and key != DEFAULT] if not self.info.deprecated else []
            if self.blueprint.scope == "stage":
                for key in unknown:
                    text = f"There is no stage `{shown(key)}`."
                    self._wrong(way, Problem(path_to(path, key), text, allowed=one_of(names), fix=nearest(key, names)))
            if not self.wrong & {str(way[0])}:
                config = _replaced(config, way, {each: value.get(each, value.get(DEFAULT)) for each in names})
        return config

    def _wrong(self, way: Way, *problems: Problem) -> None:
        if way:
            self.wrong.add(str(way[0]))
            self.told.add(str(way[0]))
        self.findings.add(problems)

    def _locate(self, way: Way, stage: Stage) -> str:
        """The JSON path of a way into the config of one stage."""
        names = self.around.stage_names
        for start, value in per_stage_values(self.intake.config, self.blueprint.schema, names):
            if way[: len(start)] == start:
                key = stage.name if stage.name in value else DEFAULT
                return self.intake.locate((*start, key, *way[len(start) :]))
        return self.intake.locate(way)

    # ---- references ----

    def _references(self) -> Iterator[tuple[str, Reference]]:
        properties: Mapping[str, Any] = self.blueprint.schema["properties"]
        for key, value in self.intake.config.items():
            result = properties[key].get("x-reference")
            if result and isinstance(value, dict) and "from" in value:
                problem = self._reference_problem(key, value, str(result))
                if problem:
                    self._wrong((key,), problem)
                yield key, Reference(str(value["from"]), str(result))

    def _reference_problem(self, key: str, value: Mapping[str, Any], result: str) -> Problem | None:
        path = path_to(self.intake.locate((key,)), "from")
        target, earlier = value["from"], self.around.earlier
        if len(value) > 1:
            return Problem(self.intake.locate((key,)), "A reference has the key `from` only.", shown(value))
        if self.around.form == 1:
            text = "A single pipeline cannot refer to another."
            return Problem(path, text, shown(target), fix='Write a workload (`"version": 2`) with both pipelines.')
        if not isinstance(target, str) or target not in earlier:
            text = f"There is no pipeline {shown(target)!r} before this one."
            if isinstance(target, str) and target in self.around.all_names:
                text = f"The pipeline {target!r} does not come before this one."
            allowed = one_of(earlier) if earlier else "An earlier pipeline; this is the first."
            return Problem(path, text, shown(target), allowed, nearest(target, earlier))
        other = earlier[target]
        if other is None:
            return None  # its type is unknown, which is a problem of its own
        if self.blueprint.scope == "hub" and other.scope == "stage":
            text = f"This pipeline runs before the stages; {target!r} is deployed in them."
            return Problem(path, text, target, "A pipeline that runs before the stages.")
        wanted = {result, *(each.result for each in self.blueprint.references.get(key, ()))}
        if not wanted <= other.results.keys():
            able = [name for name, each in earlier.items() if each and wanted <= each.results.keys()]
            text = f"{target!r} ({other.title.lower()}) has no result {result}."
            return Problem(path, text, target, one_of(able) if able else f"A pipeline with the result {result}.")
        return None

    # ---- keys and values ----

    def _missing(self, given: Config, references: Mapping[str, Reference]) -> Iterator[str]:
        """The keys a deprecated type lacks, in its own order and under its own names."""
        for required in self.info.required:
            if required.key in ("pipeline_type", "model_name"):
                continue
            target = self.blueprint.keys.get(required.key, required.key).split(".")
            place: Any = {**given, **references}
            for step in target:
                place = place.get(step) if isinstance(place, Mapping) else None
            if place is None and self._applies(required.when, given, references):
                path = path_to(self.intake.path, required.key)
                self._wrong((target[0],), Problem(path, f"`{required.key}` is missing.", fix=f"Add `{required.key}`."))
                yield target[0]

    def _ask_schema(self, config: Config, stage: Stage, missing: set[str]) -> None:
        for error in _validator(self.blueprint).iter_errors(config):
            if self.findings.full:
                return
            way = tuple(error.absolute_path)
            if str(way[0]) in self.told if way else missing and error.validator in ("anyOf", "oneOf", "required"):
                continue
            if way:
                self.wrong.add(str(way[0]))
            else:
                self.wrong |= _named(error.validator, error.validator_value) - config.keys()
            self.findings.add(problems_of(error, self.blueprint.schema, lambda inner: self._locate(inner, stage)))

    def _ask_checks(self, config: Config, references: Mapping[str, Reference], stage: Stage) -> None:
        from orchestrator.expressions import evaluate, members_of

        for check in self.blueprint.checks:
            if members_of("config", check.that) & self.wrong:
                continue
            if not evaluate(check.that, self._names(config, references, stage)):
                path = self._locate(tuple(check.path.split(".")), stage)
                value = shown(config.get(check.path))
                texts = [sentence(text) for text in (check.message, check.allowed, check.fix)]
                self.findings.add([Problem(path, texts[0], value, texts[1], texts[2])])

    def _applies(self, when: str, config: Config, references: Mapping[str, Reference]) -> bool:
        from orchestrator.expressions import evaluate

        return not when or bool(evaluate(when, self._names(config, references, self.around.stages[0])))

    def _names(self, config: Config, references: Mapping[str, Reference], stage: Stage) -> dict[str, Any]:
        return {
            "config": config,
            "references": {key: reference.pipeline for key, reference in references.items()},
            "stage": stage,
            "settings": self.around.settings,
            "workload": {"model_name": self.around.model_name, "tags": dict(self.around.tags)},
        }

    # ---- images and machines ----

    def _ask_images(self, config: Config, stage: Stage) -> None:
        image, instance_type = config.get("image"), config.get("instance_type")
        if self.wrong & {"framework", "framework_version", "py_version", "image"}:
            return
        if not isinstance(image, str):
            image = self._built_in(config, stage)
        if not image or not isinstance(instance_type, str) or self.wrong & {"instance_type", "inference_ami"}:
            return
        for pairing in pairing_problems(image, config.get("inference_ami"), instance_type):
            argument = pairing.argument if pairing.argument in config else "instance_type"
            path = self._locate((argument,), stage)
            problem = Problem(path, pairing.message, shown(config[argument]), fix=pairing.fix)
            (self.findings.add if pairing.severity == "error" else self.findings.warn)([problem])

    def _built_in(self, config: Config, stage: Stage) -> str | None:
        """The built-in image the config names, or None when it names none or a wrong one (which is then told)."""
        framework = config.get("framework")
        if not isinstance(framework, str):
            return None
        version = config.get("framework_version")
        if not self.info.deprecated and is_legacy(framework, version):
            path = self._locate(("framework_version",), stage)
            text = "This names the XGBoost image of 2018, which nobody means."
            self.findings.add([Problem(path, text, shown(version), fix="Name a version, such as 1.7-1.")])
            return None
        if "instance_type" in self.wrong:
            return None
        scope = self.blueprint.schema["properties"]["framework"].get("x-image")
        instance_type, python = config.get("instance_type"), config.get("py_version")
        try:
            return image_uri(
                framework, version, stage.region, scope=scope, instance_type=instance_type, py_version=python
            )
        except ImageUnknown as unknown:
            self.findings.add([self._image_problem(unknown, framework, stage)])
            return None

    def _image_problem(self, unknown: ImageUnknown, framework: str, stage: Stage) -> Problem:
        keys = {"version": "framework_version", "scope": "framework", "region": "framework"}
        key = keys.get(unknown.argument, unknown.argument)
        path = self._locate((key,), stage)
        if unknown.argument == "framework":
            text = f"There is no built-in image for {shown(framework)!r}."
        elif unknown.argument == "scope":
            text = f"The images of {framework!r} are not for {unknown.value}."
        elif unknown.argument == "region":
            text = f"There is no image of {framework!r} in {stage.region}."
        else:
            text = f"{framework!r} has no image for {key} {shown(unknown.value)!r}."
        value = None if unknown.argument == "region" else shown(unknown.value)
        allowed = [each for each in unknown.allowed if self.info.deprecated or not is_legacy(framework, each)]
        return Problem(path, text, value, one_of(allowed), nearest(unknown.value, allowed))


def _named(keyword: str, rule: Any) -> set[str]:
    """The keys whose absence broke a rule."""
    if keyword == "required":
        return set(rule)
    branches = rule if keyword in ("anyOf", "oneOf") else []
    return {key for branch in branches if isinstance(branch, Mapping) for key in branch.get("required", [])}


def _replaced(value: Any, way: Way, new: Any) -> Any:
    """A copy of ``value`` in which ``new`` stands at ``way``."""
    if not way:
        return new
    if isinstance(value, list):
        return [_replaced(item, way[1:], new) if index == way[0] else item for index, item in enumerate(value)]
    return {key: _replaced(item, way[1:], new) if key == way[0] else item for key, item in value.items()}


@lru_cache(maxsize=64)
def _validator(blueprint: Blueprint) -> Any:
    """A validator of the kind's schema that leaves references alone where they are allowed: they are asked apart."""
    from jsonschema import Draft7Validator
    from jsonschema.validators import extend

    def properties(validator: Any, rules: Mapping[str, Any], instance: Any, _: Any) -> Iterator[Any]:
        for key, rule in rules.items() if isinstance(instance, dict) else ():
            value = instance.get(key)
            if key not in instance or ("x-reference" in rule and isinstance(value, dict) and "from" in value):
                continue
            yield from validator.descend(value, rule, path=key, schema_path=key)

    make: Any = extend
    return make(Draft7Validator, {"properties": properties, "pattern": patterns.keyword})(blueprint.schema)
