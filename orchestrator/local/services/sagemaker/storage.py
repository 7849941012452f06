"""S3 as the job's or model's role sees it: what is there, down to files, up from files."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError


class NotThere(Exception):
    """S3 refuses or has nothing; ``detail`` is S3's own message."""

    def __init__(self, uri: str, detail: str) -> None:
        super().__init__(f"{uri}: {detail}")
        self.uri = uri
        self.detail = detail


class TooSlow(Exception):
    """A download did not end in its time."""


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def objects(s3: Any, uri: str, limit: int = 0) -> list[dict[str, Any]]:
    """The objects whose keys begin with the URI's, folders' own entries aside; raises NotThere when there are none."""
    bucket, prefix = split(uri)
    found: list[dict[str, Any]] = []
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            found += [item for item in page.get("Contents", []) if not item["Key"].endswith("/")]
            if limit and len(found) >= limit:
                break
    except ClientError as error:
        raise NotThere(uri, error.response["Error"].get("Message", str(error))) from error
    if not found:
        raise NotThere(uri, "no objects have this prefix")
    return found


def check_object(s3: Any, uri: str) -> None:
    """Raise NotThere unless the object is there and readable."""
    bucket, key = split(uri)
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise NotThere(uri, error.response["Error"].get("Message", str(error))) from error


def fetch(s3: Any, uri: str, target: Path, deadline: float = 0.0) -> None:
    """Download one object; the file is there whole or not at all."""
    bucket, key = split(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        raise NotThere(uri, error.response["Error"].get("Message", str(error))) from error
    with part.open("wb") as file:
        for chunk in _chunks(body, deadline):
            file.write(chunk)
    part.replace(target)


def _chunks(body: Any, deadline: float) -> Iterator[bytes]:
    while chunk := body.read(1024 * 1024):
        if deadline and time.monotonic() > deadline:
            raise TooSlow
        yield chunk


def fetch_prefix(s3: Any, uri: str, folder: Path, deadline: float = 0.0) -> None:
    """Download all objects of a prefix into the folder, which is made anew."""
    bucket, prefix = split(uri)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for item in objects(s3, uri):
        target = (folder / _below(item["Key"], prefix)).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise NotThere(uri, f"the key {item['Key']} leads out of its folder")
        fetch(s3, f"s3://{bucket}/{item['Key']}", target, deadline)


def fetch_manifest(s3: Any, uri: str, folder: Path) -> None:
    """Download what a manifest lists into the folder: ``[{"prefix": "s3://bucket/a/"}, "b.csv", "c/d.csv"]``.

    Raises NotThere, also for a file that is no manifest. Source:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
    """
    manifest = folder.with_name(f".{folder.name}.manifest")
    fetch(s3, uri, manifest)
    try:
        first, *rest = json.loads(manifest.read_bytes())
        prefix = first["prefix"]
        if not prefix.startswith("s3://") or not rest or not all(isinstance(name, str) for name in rest):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NotThere(uri, 'the manifest must be [{"prefix": "s3://..."}, "name", ...]') from None
    finally:
        manifest.unlink()
    for name in rest:
        target = (folder / name).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise NotThere(uri, f"the name {name} leads out of its folder")
        fetch(s3, prefix + name, target)


def _below(key: str, prefix: str) -> str:
    """Where a key stands below a prefix that names a folder (with or without its slash), a file, or a part of both."""
    rest = key[len(prefix) :]
    if prefix.endswith("/") or rest.startswith("/") or not prefix:
        return rest.lstrip("/")
    return key[prefix.rfind("/") + 1 :]


def store(s3: Any, path: Path, uri: str, kms_key: str = "") -> None:
    """Upload a file."""
    bucket, key = split(uri)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
    try:
        with path.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=key, Body=body, **encryption)
    except ClientError as error:
        raise NotThere(uri, error.response["Error"].get("Message", str(error))) from error
