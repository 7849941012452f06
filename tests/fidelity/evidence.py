"""What the suite really did, read from the homes that its embedded AWSs left behind.

``requests.log`` of a home tells which operations were answered, its store which resources were made, which states ran
and which actions of a pipeline. Nothing in the product exists for this.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import UnknownServiceError

from orchestrator.local.messages import Request
from orchestrator.local.protocol.models import service_model
from orchestrator.local.protocol.routes import Routes

S3 = {
    ("PUT", True): "PutObject",
    ("GET", True): "GetObject",
    ("HEAD", True): "HeadObject",
    ("DELETE", True): "DeleteObject",
    ("PUT", False): "CreateBucket",
    ("GET", False): "ListObjectsV2",
}
"""(method, whether the path names a key) -> what it is most of the time; the log keeps no query strings."""
MADE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})


DOCUMENTS = """
SELECT service, type, document FROM documents
WHERE type IN ('StackEvent', 'History', 'ActionExecution') OR service = 'codepipeline' AND type = 'Execution'
"""


def collect(folder: Path) -> dict[str, list[str]]:
    """group -> names, from every home below the folder."""
    found: dict[str, set[str]] = {}
    for log in folder.rglob("requests.log*"):
        for service, operation in _answered(log):
            found.setdefault("API operations", set()).add(f"{service}:{operation}")
    for store in folder.rglob("state.db"):
        for group, name in _stored(store):
            found.setdefault(group, set()).add(name)
    return {group: sorted(names) for group, names in sorted(found.items())}


def _answered(log: Path) -> Iterator[tuple[str, str]]:
    """Service and operation of every request that succeeded."""
    for line in log.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) < 8 or not words[-4].startswith("2"):
            continue
        service, *asked = words[3:-4]
        operation = asked[0] if len(asked) == 1 else _routed(service, *asked[:2])
        if operation:
            yield service, operation


def _routed(service: str, method: str, path: str) -> str:
    """The operation of a request of which the log knows method and path only."""
    if service == "s3":
        return S3.get((method, "/" in path.strip("/")), "")
    try:
        found = routes(service).find(Request(method, path, ()))
    except UnknownServiceError:
        return ""
    return found[0].name if found else ""


@cache
def routes(service: str) -> Routes:
    return Routes(service_model(service))


def _stored(store: Path) -> Iterator[tuple[str, str]]:
    database = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        for service, kind, text in database.execute(DOCUMENTS):
            document = json.loads(text)
            if service == "cloudformation" and document.get("ResourceStatus") in MADE:
                yield "Resource types", document["ResourceType"]
            elif service == "stepfunctions" and kind == "History":
                yield from _integrations(document)
            elif kind == "ActionExecution":
                yield from _action(document)
            elif service == "codepipeline":
                yield from _rules(text)
    finally:
        database.close()


def _integrations(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for event in document["events"]:
        if event["type"] == "TaskSucceeded":
            details = event["taskSucceededEventDetails"]
            yield "Step Functions integrations", f"{details['resourceType']}:{details['resource']}"


def _action(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if document["status"] == "Succeeded":
        kind = document["declaration"]["actionTypeId"]
        mode = document["declaration"].get("configuration", {}).get("ActionMode")
        yield "CodePipeline actions", f"{kind['category']} {kind['provider']}{f' {mode}' if mode else ''}"


def _rules(text: str) -> Iterator[tuple[str, str]]:
    for provider in re.findall(r'"category": "Rule", "owner": "AWS", "provider": "(\w+)"', text):
        yield "CodePipeline actions", f"Rule {provider}"
