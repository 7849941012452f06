"""Images as a registry knows them: manifests, made of what an engine built or of what would have been built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.runtime.process import read_json, write_json

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
REHEARSAL = "mlops.rehearsal"
"""The annotation that says that an image was not built."""
REASON = "This image was not built: it stands for what its Dockerfile and context would give."


class NotPushed(Exception):
    """The image is not there, or the registry does not take it; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest, its media type and its digest."""

    manifest: str
    media_type: str
    digest: str


def rehearsed(context: Path, dockerfile: str, arguments: Mapping[str, str], target: str, platform: str) -> Image:
    """What stands for an image that was not built: the same context and settings give the same digest."""
    system, _, architecture = platform.partition("/")
    config = _canonical(
        {
            "architecture": architecture,
            "os": system,
            "rootfs": {"type": "layers", "diff_ids": []},
            "config": {"Labels": {REHEARSAL: REASON}},
            "rehearsal": {
                "dockerfile": _sha256(dockerfile.encode()),
                "context": _tree(context),
                "arguments": dict(arguments),
                "target": target,
            },
        }
    )
    about = {"mediaType": OCI_CONFIG, "digest": _sha256(config.encode()), "size": len(config)}
    return _image(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": about,
            "layers": [],
            "annotations": {REHEARSAL: REASON},
        }
    )


def of_engine(inspected: str) -> Image:
    """The manifest of an image as ``docker image inspect`` describes it; its layers are named, not sent."""
    document = json.loads(inspected)
    layers = document.get("RootFS", {}).get("Layers", [])
    return _image(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": {"mediaType": DOCKER_CONFIG, "digest": document["Id"], "size": 0},
            "layers": [{"mediaType": DOCKER_LAYER, "digest": layer, "size": 0} for layer in layers],
        }
    )


def note(folder: Path, name: str, image: Image) -> None:
    """Remember what an image's name means in this build."""
    file = folder / "images.json"
    write_json(file, {**(read_json(file) or {}), name: asdict(image)})


def noted(folder: Path, name: str) -> Image:
    """What the name means in this build. Raises NotPushed."""
    images = read_json(folder / "images.json") or {}
    if name not in images:
        raise NotPushed(f"there is no image {name} here; this build made {', '.join(images) or 'none'}")
    return Image(**images[name])


def push(name: str, image: Image) -> str:
    """Put the image's manifest into its repository of the embedded ECR; what to tell. Raises NotPushed."""
    import boto3
    from botocore.exceptions import ClientError

    registry, _, rest = name.partition("/")
    repository, _, tag = rest.partition(":")
    account, region = registry.partition(".")[0], registry.split(".")[3]
    try:
        boto3.client("ecr", region_name=region).put_image(
            registryId=account,
            repositoryName=repository,
            imageManifest=image.manifest,
            imageManifestMediaType=image.media_type,
            imageTag=tag or "latest",
            imageDigest=image.digest,
        )
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code == "ImageAlreadyExistsException" and image.digest not in message:  # moto's word for AWS's next one
            code = "ImageTagAlreadyExistsException"
        if code == "ImageTagAlreadyExistsException":
            message = "the tag holds another image already, and the tags of the repository are immutable"
        if code != "ImageAlreadyExistsException":
            raise NotPushed(f"{name} was not pushed: {message or error}") from error
    return f"{tag or 'latest'}: digest: {image.digest} size: {len(image.manifest)}"


def _image(manifest: Mapping[str, Any]) -> Image:
    text = _canonical(manifest)
    return Image(text, str(manifest["mediaType"]), _sha256(text.encode()))


def _tree(folder: Path) -> str:
    """A digest of every file below a folder: names, bytes and whether they may be run."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            executable = bool(path.stat().st_mode & 0o100)
            about = [path.relative_to(folder).as_posix(), executable, _sha256(path.read_bytes())]
            found.update(_canonical(about).encode())
    return f"sha256:{found.hexdigest()}"


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
