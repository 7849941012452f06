"""The catalog: every kind of pipeline is a folder of data, found and read here, never imported as code.

``blueprints/<kind>/`` holds ``blueprint.yaml`` (described below), ``config.schema.json``, ``workload.yaml.j2``,
``examples/*.json`` (whole configs), ``expected/`` (their golden rendering) and a ``README.md``.

``blueprint.yaml``; only ``kind``, ``title``, ``summary``, ``scope`` and ``types`` must be there::

    kind: model_training           # the name of the folder
    title: Model training
    summary: One sentence.
    scope: hub                     # hub: once, in the orchestrator's account; stage: in every stage
    types:                         # what a user may write as pipeline_type
      model_training: {}
      model_training_builtin:
        deprecated: true           # old name: unknown keys are ignored, numbers and booleans may be strings
        postfix: ModelTraining     # of the project's name (one-pipeline form)
        template: model_training_pipeline.yaml    # name of the template in the bundle (one-pipeline form)
        presets: {use_spot_instances: true}       # defaults of this type; they win over the schema's
        model_name: image_tag      # the key that names the project, where it is not model_name
        bare_stack: true           # the CodePipeline's stack is called as the project, without -codepipeline
        required:                  # keys that must be present (old names), in the order they are reported;
          - training_data          # a conditional one is an object whose `when` is an expression
          - {key: model_package_name, when: "settings.use_model_registry"}
    keys:                          # old key -> our key; a dot goes into an object
      algo_hyperparamaters: hyperparameters
      training_data: channels.train.location
    checks:                        # rules between keys; true means fine, evaluated for every stage
      - {that: "config.a <= config.b", path: a, message: "...", allowed: "...", fix: "..."}
    values: {image: "derived.image_uri(config.framework, config.framework_version)"}   # in order
    shape: {data_capture: "config.data_capture is defined"}
    parameters: {ImageUri: "values.image"}
    references:                    # config key -> result wanted -> template parameter that carries it
      model: {result: ModelDataUrl, parameter: ModelDataUrl}        # or a list of such objects
    job: {state_machine: "derived.state_machine_name()", input: {HyperParameters: "config.hyperparameters"}}
    results: {ModelDataUrl: "S3 URI of model.tar.gz"}
    review: {when: "config.approval == 'manual'", message: "...", accept: approve_model_package}
    verify: true

Every value under ``checks.that``, ``values``, ``shape``, ``parameters``, ``job`` and ``review.when`` is an
expression (see ``expressions``): always text. Checks and ``required.when`` see ``config`` (of the stage),
``references`` (the keys that refer to other pipelines), ``stage``, ``settings`` and ``workload``; the others see what
``plan`` offers. A check is not asked while one of the keys it looks at has a problem of its own.

``config.schema.json`` is a draft-07 object schema without ``pipeline_type``, ``model_name`` and ``name`` (these
belong to the form, not to the kind). Own keywords of a property: ``x-per-stage: true`` (the value may be an object
keyed by stage name, at any depth), ``x-key: true`` (a key inside the assets bucket, or an ``s3://`` URI),
``x-reference: <ResultName>`` (the value may be ``{"from": "<pipeline>"}``; only at the top), ``x-review: <value>`` (of
an ``enum`` that switches the kind's review off: the value with which a person reviews), and for ``framework``
``x-image: training`` or ``inference`` (which built-in images it names). Where a kind has keys called ``framework``,
``framework_version``, ``py_version``, ``image``, ``instance_type`` and ``inference_ami``, ``validate`` sees to it that
the image exists in every region and runs on the instances. The ``description`` of a conditional subschema is shown
to the user as its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import BadRequest, BlueprintBroken
from orchestrator.explain import nearest
from orchestrator.inlined import inlined
from orchestrator.model import Scope

MANIFEST = "blueprint.yaml"
SCHEMA = "config.schema.json"
TEMPLATE = "workload.yaml.j2"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequiredKey:
    """A key an old type asks for, by its old name; ``when`` (an expression) is empty when it always does."""

    key: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """One name a user may write in ``pipeline_type``."""

    name: str
    deprecated: bool = False
    postfix: str = ""
    template: str = ""
    model_name: str = "model_name"
    bare_stack: bool = False
    presets: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[RequiredKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A rule between keys of a config: ``that`` must be true in every stage."""

    that: str
    path: str
    message: str
    allowed: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceTarget:
    """Which result of another pipeline is wanted, and the template parameter that receives it."""

    result: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Job:
    """The state machine that runs after the deployment: its name and its input, member by member (expressions)."""

    state_machine: str
    input: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Review:
    """A manual approval after the job; when granted, the orchestrator does ``accept``."""

    when: str
    message: str
    accept: str


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A kind of pipeline, as its folder says it. Expressions are kept as text; ``plan`` evaluates them.

    Two blueprints are equal when they are the same object, so that what is made of one can be cached by it.
    """

    folder: Path
    kind: str
    title: str
    summary: str
    scope: Scope
    types: Mapping[str, TypeInfo]
    keys: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    shape: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, tuple[ReferenceTarget, ...]] = field(default_factory=dict)
    job: Job | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    review: Review | None = None
    verify: bool = False

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        """The kind's config schema, read when first needed, with ``definitions`` put in place.

        Raises BlueprintBroken when it is not an object schema, or refers to what it does not define.
        """
        file = self.folder / SCHEMA
        schema: Mapping[str, Any] = inlined(file)
        if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
            raise BlueprintBroken(f"{file}: properties: must be an object")
        if schema.get("additionalProperties") is not False:
            raise BlueprintBroken(f"{file}: additionalProperties: must be false")
        for key in self.references:
            if key not in schema["properties"]:
                raise BlueprintBroken(f"{self.folder / MANIFEST}: references.{key}: the schema has no such property")
        return schema

    @property
    def template_file(self) -> Path:
        """The Jinja template of the kind."""
        return self.folder / TEMPLATE


@dataclass(frozen=True)
class Catalog:
    """All blueprints under one root, by kind; iterating yields them in the order of their kinds."""

    root: Path
    blueprints: Mapping[str, Blueprint]

    def __iter__(self) -> Iterator[Blueprint]:
        return iter(self.blueprints.values())

    @cached_property
    def types(self) -> Mapping[str, TypeInfo]:
        """Every pipeline type, the current names before the deprecated ones."""
        found = [info for blueprint in self for info in blueprint.types.values()]
        return {info.name: info for info in sorted(found, key=lambda info: (info.deprecated, info.name))}

    def for_type(self, pipeline_type: str) -> Blueprint:
        """The blueprint that serves a type. Raises BadRequest, with the nearest names, for an unknown one."""
        for blueprint in self:
            if pipeline_type in blueprint.types:
                return blueprint
        hint = nearest(pipeline_type, self.types) or f"Known types: {', '.join(self.types)}."
        raise BadRequest(f"Pipeline type {pipeline_type!r} is not supported.", hint=hint)


def default_root() -> Path:
    """Where the catalog lies: beside the package (checkout, Lambda zip), else inside it (installed wheel)."""
    package = Path(__file__).resolve().parent
    return package.parent if (package.parent / "blueprints").is_dir() else package / "catalog"


def load_catalog(root: Path | None = None) -> Catalog:
    """Read every ``blueprints/<kind>/`` under ``root``.

    Raises BlueprintBroken, naming the file and the member, for a malformed folder, and for a pipeline type
    that two kinds claim.
    """
    root = root or default_root()
    folders = sorted(path.parent for path in (root / "blueprints").glob(f"*/{MANIFEST}"))
    if not folders:
        raise BlueprintBroken(f"{root / 'blueprints'}: holds no blueprint")
    blueprints = {folder.name: load_blueprint(folder) for folder in folders}
    owner: dict[str, str] = {}
    for blueprint in blueprints.values():
        for name in blueprint.types:
            if name in owner:
                raise BlueprintBroken(f"{blueprint.folder / MANIFEST}: types.{name}: also claimed by {owner[name]}")
            owner[name] = blueprint.kind
    return Catalog(root, blueprints)


def load_blueprint(folder: Path) -> Blueprint:
    """Read one blueprint folder. Raises BlueprintBroken, naming the file and the member."""
    import yaml

    file = folder / MANIFEST
    try:
        # The C loader is several times faster and present in every wheel of PyYAML; the other is the fallback.
        document = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BlueprintBroken(f"{file}: {error}") from error
    top = _Member(file, "", document)
    top.only({*Blueprint.__dataclass_fields__} - {"folder"})
    scope = top.get("scope").one_of("hub", "stage")
    kind = top.get("kind").text()
    if kind != folder.name:
        raise BlueprintBroken(f"{file}: kind: must be the folder's name, {folder.name!r}")
    return Blueprint(
        folder=folder,
        kind=kind,
        title=top.get("title").text(),
        summary=top.get("summary").text(),
        scope="hub" if scope == "hub" else "stage",
        types=_types(top.get("types")),
        keys=top.get("keys").mapping(_Member.text),
        checks=top.get("checks").sequence(_check),
        values=top.get("values").mapping(_Member.text),
        shape=top.get("shape").mapping(_Member.text),
        parameters=top.get("parameters").mapping(_Member.text),
        references=top.get("references").mapping(_targets),
        job=top.get("job").optional(_job),
        results=top.get("results").mapping(_Member.text),
        review=top.get("review").optional(_review),
        verify=top.get("verify").flag(),
    )


class _Member:
    """One member of a manifest with its path, read with the type it must have; the error names both."""

    def __init__(self, file: Path, path: str, value: object) -> None:
        self.file, self.path, self.value = file, path, value

    def fail(self, message: str) -> BlueprintBroken:
        return BlueprintBroken(f"{self.file}: {self.path or 'the document'}: {message}")

    def _object(self) -> dict[str, object]:
        if not isinstance(self.value, dict) or not all(isinstance(key, str) for key in self.value):
            raise self.fail("must be an object")
        return self.value

    def only(self, known: set[str]) -> None:
        unknown = sorted(set(self._object()) - known)
        if unknown:
            raise self.fail(f"unknown member {unknown[0]!r}; known are {', '.join(sorted(known))}")

    def get(self, key: str) -> _Member:
        return _Member(self.file, f"{self.path}.{key}".lstrip("."), self._object().get(key))

    def text(self, default: str | None = None) -> str:
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.fail("must be a text that is not empty")
        return self.value

    def one_of(self, *allowed: str) -> str:
        if self.value not in allowed:
            raise self.fail(f"must be one of {', '.join(allowed)}")
        return str(self.value)

    def flag(self) -> bool:
        if self.value not in (None, True, False):
            raise self.fail("must be true or false")
        return bool(self.value)

    def mapping(self, read: Callable[[_Member], T]) -> dict[str, T]:
        return {key: read(self.get(key)) for key in self._object()} if self.value is not None else {}

    def sequence(self, read: Callable[[_Member], T]) -> tuple[T, ...]:
        if self.value is None:
            return ()
        if not isinstance(self.value, list):
            raise self.fail("must be a list")
        return tuple(read(_Member(self.file, f"{self.path}[{i}]", item)) for i, item in enumerate(self.value))

    def optional(self, read: Callable[[_Member], T]) -> T | None:
        return None if self.value is None else read(self)


def _types(member: _Member) -> dict[str, TypeInfo]:
    types = member.mapping(_type)
    if not types:
        raise member.fail("must name at least one pipeline type")
    return types


def _type(member: _Member) -> TypeInfo:
    if member.value is None:
        member.value = {}
    member.only({"deprecated", "postfix", "template", "model_name", "bare_stack", "presets", "required"})
    return TypeInfo(
        name=member.path.rpartition(".")[2],
        deprecated=member.get("deprecated").flag(),
        postfix=member.get("postfix").text(default=""),
        template=member.get("template").text(default=""),
        model_name=member.get("model_name").text(default="model_name"),
        bare_stack=member.get("bare_stack").flag(),
        presets=member.get("presets").mapping(lambda preset: preset.value),
        required=member.get("required").sequence(_required_key),
    )


def _required_key(member: _Member) -> RequiredKey:
    if isinstance(member.value, str):
        return RequiredKey(member.text())
    member.only({"key", "when"})
    return RequiredKey(member.get("key").text(), member.get("when").text())


def _check(member: _Member) -> Check:
    member.only({"that", "path", "message", "allowed", "fix"})
    return Check(
        member.get("that").text(),
        member.get("path").text(),
        member.get("message").text(),
        member.get("allowed").text(default=""),
        member.get("fix").text(default=""),
    )


def _targets(member: _Member) -> tuple[ReferenceTarget, ...]:
    return member.sequence(_target) if isinstance(member.value, list) else (_target(member),)


def _target(member: _Member) -> ReferenceTarget:
    member.only({"result", "parameter"})
    return ReferenceTarget(member.get("result").text(), member.get("parameter").text())


def _job(member: _Member) -> Job:
    member.only({"state_machine", "input"})
    return Job(member.get("state_machine").text(), member.get("input").mapping(_Member.text))


def _review(member: _Member) -> Review:
    member.only({"when", "message", "accept"})
    return Review(member.get("when").text(), member.get("message").text(), member.get("accept").text())
