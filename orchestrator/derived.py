"""What blueprints may ask to be computed: names, hashes, places in S3, images, machines. A closed set.

An expression of a blueprint sees one ``Derived`` as ``derived``; its public methods are all there is. Everything is
a pure function of its arguments and of where the pipeline stands, so that the same config always gives the same plan.
A key missing from the config counts as None.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from orchestrator import __version__, images
from orchestrator.errors import BlueprintBroken
from orchestrator.expressions import Missing
from orchestrator.model import Stage
from orchestrator.settings import Settings
from orchestrator.templating import canonical, render_document

LONGEST_STACK_NAME = 128
LONGEST_STATE_MACHINE_NAME = 80
IMAGE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/(?P<repository>[^:@]+)"
)
# Instance families whose disks are local NVMe: SageMaker takes no KMS key for them (CreateEndpointConfig, KmsKeyId).
LOCAL_DISK = re.compile(r"(g4dn|g5|g6e?|gr6|g7e?|p4de?|p5(e|en)?|p6.*|trn[12]n?|[cmr][5-9][a-z]*d[a-z]*|i[34].*)$")

P = ParamSpec("P")
R = TypeVar("R")


def shorten(text: str, limit: int) -> str:
    """``text`` within ``limit`` characters; a longer one ends in a hash of the whole, so that it stays distinct."""
    return text if len(text) <= limit else f"{text[: limit - 9].rstrip('-')}-{digest(text)}"


def digest(*values: Any) -> str:
    """Eight hex digits that change when one of the JSON values does."""
    return hashlib.sha256(canonical([given(value) for value in values]).encode()).hexdigest()[:8]


def text_of(value: Any) -> str:
    """A value as the text of a parameter: booleans in lower case, lists and objects as canonical JSON."""
    if isinstance(value, str):
        return value
    return canonical(value)


def given(value: Any) -> Any:
    """The value without what is missing or None, at any depth."""
    if isinstance(value, Missing):
        return None
    if isinstance(value, Mapping):
        return {key: given(item) for key, item in value.items() if not _absent(item)}
    if isinstance(value, list | tuple):
        return [given(item) for item in value if not _absent(item)]
    return value


def _absent(value: Any) -> bool:
    return value is None or isinstance(value, Missing)


def _tolerant(method: Callable[P, R]) -> Callable[P, R]:
    """A missing key may be passed where None may."""

    @wraps(method)
    def called(*arguments: P.args, **named: P.kwargs) -> R:
        clean = [given(argument) if isinstance(argument, Missing) else argument for argument in arguments]
        return method(*clean, **{key: given(item) for key, item in named.items()})  # type: ignore[arg-type]

    return called


@dataclass(frozen=True)
class Derived:
    """The derived values of one pipeline in one stage. ``folders`` is where documents are looked for."""

    settings: Settings
    stage: Stage
    stack: str
    folders: tuple[Path, ...]
    names: Mapping[str, Any]

    # ---- names ----

    @_tolerant
    def name(self, *parts: Any, limit: int = 63) -> str:
        """A name for an AWS resource from words: lower case, dashes, never longer than ``limit``, never ambiguous."""
        words = (re.sub(r"[^a-z0-9]+", "-", str(part).strip().lower()).strip("-") for part in parts if part is not None)
        return shorten("-".join(filter(None, words)), limit)

    @_tolerant
    def hash(self, *values: Any) -> str:
        """Eight hex digits that change when one of the values does."""
        return digest(*values)

    def stack_name(self) -> str:
        """The stack of this pipeline in this stage."""
        return self.stack

    def state_machine_name(self) -> str:
        """The state machine of this pipeline in this stage."""
        return shorten(self.stack, LONGEST_STATE_MACHINE_NAME)

    # ---- places in S3 ----

    @_tolerant
    def location_bucket(self, location: str) -> str:
        """The bucket of ``bucket/prefix`` or ``s3://bucket/prefix``."""
        return _bare(location).partition("/")[0]

    @_tolerant
    def location_key(self, location: str) -> str:
        """The prefix of ``bucket/prefix`` or ``s3://bucket/prefix``, without slashes at its ends."""
        return _bare(location).partition("/")[2].strip("/")

    @_tolerant
    def location(self, location: str | None) -> str | None:
        """``bucket/prefix``, however it was written: with ``s3://`` or slashes at its end."""
        return location and "/".join(filter(None, (self.location_bucket(location), self.location_key(location))))

    @_tolerant
    def s3_uri(self, key: str | None) -> str | None:
        """The ``s3://`` URI of a key in the assets bucket; a URI stays what it is."""
        if not key or key.startswith("s3://"):
            return key or None
        return f"s3://{self.settings.assets_bucket}/{key.lstrip('/')}"

    @_tolerant
    def s3_folder(self, key: str | None) -> str | None:
        """The folder an object lies in, as a URI without a slash at its end; a folder stays what it is."""
        uri = self.s3_uri(key)
        return uri and uri.rpartition("/")[0]

    @_tolerant
    def s3_arn(self, uri: str | None) -> str | None:
        """The ARN of what an ``s3://`` URI (or a key in the assets bucket) names."""
        uri = self.s3_uri(uri)
        return uri and f"arn:{self.settings.partition}:s3:::{uri.removeprefix('s3://')}"

    @_tolerant
    def s3_arns(self, uris: list[str], ending: str = "") -> list[str]:
        """The ARNs of what several URIs name, each once, in order, with ``ending`` behind."""
        return sorted({f"{self.s3_arn(uri)}{ending}" for uri in uris})

    @_tolerant
    def bucket_arns(self, uris: list[str]) -> list[str]:
        """The ARNs of the buckets of several URIs, each once, in order."""
        return sorted({str(self.s3_arn(uri)).partition("/")[0] for uri in uris})

    # ---- images and machines ----

    @_tolerant
    def image_uri(
        self,
        framework: str,
        version: Any = None,
        scope: str | None = "training",
        instance_type: str | None = None,
        py_version: str | None = None,
        region: str | None = None,
        otherwise: str | None = None,
    ) -> str:
        """The image of a framework or built-in algorithm in this stage's region.

        Raises ImageUnknown when there is none, unless ``otherwise`` says what to take instead.
        """
        place = region or self.stage.region
        try:
            return images.image_uri(
                framework, version, place, scope=scope, instance_type=instance_type, py_version=py_version
            )
        except images.ImageUnknown:
            if otherwise is None:
                raise
            return otherwise

    @_tolerant
    def image_repository_arn(self, image: str | None) -> str | None:
        """The ARN of the ECR repository an image is pulled from. Raises BlueprintBroken for an image elsewhere."""
        if not image:
            return None
        found = IMAGE.match(image)
        if not found:
            raise BlueprintBroken(f"{image!r} is not the URI of an image in Amazon ECR")
        place = f"{found['region']}:{found['account']}:repository/{found['repository']}"
        return f"arn:{self.settings.partition}:ecr:{place}"

    def monitoring_image(self) -> str:
        """The image of our monitors: of this version, from the orchestrator's own registry."""
        host = images.registry(self.settings.account, self.settings.region)
        return f"{host}/{self.settings.name_prefix}-monitoring:{__version__}"

    @_tolerant
    def inference_ami(self, image: str | None, instance_type: str | None) -> str | None:
        """The machine image whose driver can run the image; None where the choice of AWS is right."""
        return images.inference_ami(image, instance_type) if image else None

    @_tolerant
    def cuda(self, image: str | None) -> int | None:
        """The CUDA version an image was built for (124 for 12.4), if it is known."""
        return images.cuda_of(image) if image else None

    @_tolerant
    def is_gpu(self, instance_type: str | None) -> bool:
        """Whether the instances have NVIDIA GPUs."""
        return images.is_gpu(instance_type)

    @_tolerant
    def has_local_disk(self, instance_type: str | None) -> bool:
        """Whether the instances keep their data on local NVMe disks, which take no KMS key."""
        family = str(instance_type or "").split(".")
        return len(family) == 3 and bool(LOCAL_DISK.match(family[1]))

    # ---- values ----

    def json(self, value: Any) -> str | None:
        """The value as canonical JSON."""
        return None if _absent(value) else canonical(given(value))

    @_tolerant
    def text(self, value: Any) -> str:
        """The value as the text of a parameter or hyperparameter."""
        return text_of(given(value))

    @_tolerant
    def texts(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Every member of an object as text."""
        return {key: text_of(value) for key, value in values.items()}

    def document(self, template: str) -> Any:
        """The JSON value of a ``*.yaml.j2`` of the blueprint (or of ``templates/``), which sees the same names."""
        return given(render_document(self.folders, template, {**self.names, "derived": self}, strict=False))


def _bare(location: str) -> str:
    return location.removeprefix("s3://").strip("/")
