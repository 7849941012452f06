"""S3 sources with PollForSourceChanges: a new version of the object starts the pipeline."""

from __future__ import annotations

import uuid

from botocore.exceptions import ClientError

from orchestrator.local.services.codepipeline import commands
from orchestrator.local.services.codepipeline.engine import Engine
from orchestrator.local.services.codepipeline.scene import Scene
from orchestrator.local.store import Document, Key

TASK = "codepipeline.poll"
INTERVAL_SECONDS = 1.0
"""AWS looks once a minute; here a person is waiting."""


class Poller:
    """One task for each pipeline that has a source to poll."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._world = engine.world
        engine.world.tasks.register(TASK, self._poll)

    def watch(self, key: Key, definition: Document) -> None:
        """Begin to poll when the definition asks for it."""
        if polled_sources(definition):
            self._world.tasks.schedule(TASK, key, INTERVAL_SECONDS)

    def _poll(self, key: Key) -> float | None:
        pipeline = self._engine.store.get(key)
        if pipeline is None:
            return None
        definition = self._engine.definition(key, pipeline["version"])
        sources = polled_sources(definition)
        newest = {source["name"]: self._newest(key, definition, source) for source in sources}
        if any(version and version != pipeline["polled"].get(name) for name, version in newest.items()):
            with self._engine.scene(key) as scene:
                _look(scene, newest)
        return INTERVAL_SECONDS if sources else None

    def _newest(self, key: Key, definition: Document, source: Document) -> str:
        """The newest version of the source's object; '' when there is none."""
        configuration = source["configuration"]
        role = source.get("roleArn") or definition["roleArn"]
        through = definition["roleArn"] if role != definition["roleArn"] else ""
        try:
            s3 = self._world.client("s3", key.account, source.get("region") or key.region, role, through=through)
            answer = s3.head_object(Bucket=configuration["S3Bucket"], Key=configuration["S3ObjectKey"])
        except ClientError:  # no bucket or no object yet
            return ""
        return str(answer.get("VersionId", ""))


def polled_sources(definition: Document) -> list[Document]:
    """The source actions to poll; that is the default."""
    return [
        action
        for action in definition["stages"][0]["actions"]
        if action["actionTypeId"]["provider"] == "S3"
        and action["configuration"].get("PollForSourceChanges", "true").lower() != "false"
    ]


def _look(scene: Scene, newest: dict[str, str]) -> None:
    """Start an execution for versions that no execution has seen or is about to see."""
    first = scene.definition["stages"][0]["name"]
    if any(execution["stage"] == first for execution in scene.active()):
        return  # its source actions may take the new version; looked at again when they are through
    seen = scene.pipeline["polled"]
    fresh = {name: version for name, version in newest.items() if version and seen.get(name) != version}
    known = {revision["revisionId"] for each in scene.executions.values() for revision in each["revisions"]}
    if latest := scene.place(first)["latest"]:
        known |= {revision["revisionId"] for revision in (scene.past(latest) or {"revisions": []})["revisions"]}
    seen.update(fresh)
    if any(version not in known for version in fresh.values()):
        trigger = {"triggerType": "PollForSourceChanges", "triggerDetail": ", ".join(sorted(fresh))}
        commands.start(scene, str(uuid.uuid4()), trigger)
