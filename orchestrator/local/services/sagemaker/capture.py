"""Data capture: what goes in and out of an endpoint, as JSON lines, in files that S3 gets every few seconds.

A line is on disk before its caller has the answer. Files are sealed under the name they will have in S3 and then
uploaded under it, so that a crash in between uploads the same object again and not another.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import json
import logging
import random
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.fleet import endpoint_folder
from orchestrator.local.store import Key
from orchestrator.local.world import World

TASK = "sagemaker.capture"
FLUSH_SECONDS = 5.0
RETRY_SECONDS = 30.0
OPEN = "open.jsonl"
HOUR_SECONDS = 3600
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
TOLD = re.compile(r'"inferenceTime": "([^"\\]+)"')

LOGGER = logging.getLogger(__name__)
WRITING = threading.Lock()
"""Held to add a line and to seal a file: a line never lands in a file that is being uploaded."""


class Capture:
    """Writes captured requests and carries them to S3."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._began: dict[Path, float] = {}

    def record(
        self,
        endpoint: Key,
        variant: str,
        config: Mapping[str, Any],
        request: tuple[bytes, str],
        response: tuple[bytes, str],
        metadata: Mapping[str, Any],
    ) -> None:
        """Keep one call, if capture is on (it is unless it is said not to be) and chance has it."""
        if not config or not config.get("EnableCapture", True):
            return
        if random.uniform(0, 100) >= config["InitialSamplingPercentage"]:  # noqa: S311
            return
        now = self._world.now()
        line = json.dumps(_line(config, request, response, metadata, now))
        folder = self._folder(endpoint, variant)
        with WRITING:
            folder.mkdir(parents=True, exist_ok=True)
            first = not (folder / OPEN).exists()
            if not first and self._since(folder) // HOUR_SECONDS != now // HOUR_SECONDS:
                self._seal(folder)
            if not (folder / OPEN).exists():  # another Capture may have sealed the one that is remembered
                self._began[folder] = now
            with (folder / OPEN).open("a") as file:
                file.write(line + "\n")
        if first:
            self._world.tasks.schedule(TASK, endpoint, FLUSH_SECONDS)

    def flush(self, endpoint: Key) -> None:
        """Bring everything captured so far to S3; raises NotThere when S3 will not have it."""
        document = self._world.store.get(endpoint)
        if document is None:
            return
        deployment = document["deployments"][document["serving"] or document["target"]]
        config, role = deployment["capture"], deployment["variants"][0]["role"]
        root = self._folder(endpoint, "")
        for folder in sorted(root.iterdir()) if root.is_dir() and config else []:
            with WRITING:
                self._seal(folder)
            s3 = self._world.client("s3", endpoint.account, endpoint.region, role)
            for path in sorted(folder.glob("sealed/**/*.jsonl")):
                place = f"{endpoint.name}/{folder.name}/{path.relative_to(folder / 'sealed')}"
                target = f"{config['DestinationS3Uri'].rstrip('/')}/{place}"
                storage.store(s3, path, target, config.get("KmsKeyId", ""))
                path.unlink()

    def step(self, endpoint: Key) -> float | None:
        """The task: one flush; the next first line of a file schedules the next."""
        try:
            self.flush(endpoint)
        except storage.NotThere as error:
            LOGGER.warning("captured data of endpoint %s waits: %s", endpoint.name, error)
            return RETRY_SECONDS
        return None

    def _seal(self, folder: Path) -> None:
        """Close the open file, if there is one, under the hour of its lines. Whoever calls it holds ``WRITING``."""
        if not (folder / OPEN).exists():
            return
        began = datetime.fromtimestamp(self._since(folder), UTC)
        sealed = folder / "sealed" / f"{began:%Y/%m/%d/%H/%M-%S}-000-{uuid.uuid4()}.jsonl"
        sealed.parent.mkdir(parents=True, exist_ok=True)
        (folder / OPEN).rename(sealed)
        self._began.pop(folder, None)

    def _since(self, folder: Path) -> float:
        """When the first call in the open file was made, by the clock of the embedded AWS; POSIX seconds.

        The file of a process that was killed tells it; what was cut off in its first line counts from now.
        """
        if folder not in self._began:
            with (folder / OPEN).open() as file:
                told = TOLD.findall(file.readline())
            moment = datetime.strptime(told[-1], MOMENT).replace(tzinfo=UTC).timestamp() if told else None
            self._began[folder] = self._world.now() if moment is None else moment
        return self._began[folder]

    def _folder(self, endpoint: Key, variant: str) -> Path:
        return endpoint_folder(self._world, endpoint) / "capture" / variant


def _line(
    config: Mapping[str, Any],
    request: tuple[bytes, str],
    response: tuple[bytes, str],
    metadata: Mapping[str, Any],
    now: float,
) -> dict[str, Any]:
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    both = "InputAndOutput" in modes
    data = {}
    if both or "Input" in modes:
        data["endpointInput"] = _side("INPUT", *request, config)
    if both or "Output" in modes:
        data["endpointOutput"] = _side("OUTPUT", *response, config)
    moment = datetime.fromtimestamp(now, UTC).strftime(MOMENT)
    return {
        "captureData": data,
        "eventMetadata": {"eventId": str(uuid.uuid4()), **metadata, "inferenceTime": moment},
        "eventVersion": "0",
    }


def _side(mode: str, body: bytes, content_type: str, config: Mapping[str, Any]) -> dict[str, str]:
    """One direction; text as it is when its type is one of those the config names, all else in base64."""
    kind = content_type.partition(";")[0].strip()
    headers = config.get("CaptureContentTypeHeader", {})
    encoding = "CSV" if kind in headers.get("CsvContentTypes", []) else ""
    encoding = "JSON" if kind in headers.get("JsonContentTypes", []) else encoding
    data = body.decode(errors="replace") if encoding else base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding or "BASE64"}
