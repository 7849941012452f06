"""Operations on pipelines themselves: create, update, read, delete, tags, transitions, state."""

from __future__ import annotations

import uuid

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.codepipeline import commands
from orchestrator.local.services.codepipeline.definition import check, normalize
from orchestrator.local.services.codepipeline.engine import PRINCIPAL, pipeline_arn
from orchestrator.local.services.codepipeline.operations import Operations, caller, find_stage, page
from orchestrator.local.services.codepipeline.views import pipeline_state
from orchestrator.local.store import Document, Key

MOST_TAGS = 50


class PipelineOperations(Operations):
    """The part of the API that is about pipelines."""

    def CreatePipeline(self, call: Call, parameters: Document) -> Document:
        definition = self._checked(call, parameters["pipeline"])
        key = self.pipeline_key(call, definition["name"])
        tags = {tag["key"]: tag["value"] for tag in parameters.get("tags", [])}
        _check_tags(tags)
        now = self.world.now()
        with self.store.transaction():
            if self.store.get(key):
                message = f"A pipeline with the name '{key.name}' already exists in account '{key.account}'"
                raise ServiceError("PipelineNameInUseException", message)
            pipeline = {
                "name": key.name,
                "region": key.region,
                "version": 1,
                "created": now,
                "updated": now,
                "tags": tags,
                "transitions": {},
                "active": [],
                "stages": {},
                "counter": 0,
                "polled": {},
            }
            self.store.put(key, pipeline)
            self._put_version(key, definition, 1)
            if all("defaultValue" in variable for variable in definition.get("variables", [])):
                with self.engine.scene(key) as scene:
                    trigger = {"triggerType": "CreatePipeline", "triggerDetail": caller(call)}
                    commands.start(scene, str(uuid.uuid4()), trigger)
            self.poller.watch(key, definition)
        return {"pipeline": self.engine.definition(key, 1), "tags": _tag_list(tags)}

    def UpdatePipeline(self, call: Call, parameters: Document) -> Document:
        definition = self._checked(call, parameters["pipeline"])
        key = self.pipeline_key(call, definition["name"])
        with self.store.transaction():
            pipeline = self.engine.pipeline(key)
            version: int = pipeline["version"]
            # AWS counts an update without a change too; here a request repeated after a crash must change nothing.
            if {**definition, "version": version} != self.engine.definition(key, version):
                version += 1
                self.store.put(key, {**pipeline, "version": version, "updated": self.world.now()})
                self._put_version(key, definition, version)
                with self.engine.scene(key):
                    pass  # executions of the earlier version end where they are
                self.poller.watch(key, definition)
        return {"pipeline": self.engine.definition(key, version)}

    def _checked(self, call: Call, declaration: Document) -> Document:
        """The declaration with defaults; raises what AWS raises when it cannot run."""
        definition = normalize(declaration)
        check(definition, call.account, call.region, self.engine.types)
        if fault := self.engine.trust.fault(definition["roleArn"], PRINCIPAL):
            message = f"CodePipeline is not authorized to perform AssumeRole on role {definition['roleArn']}: {fault}."
            raise ServiceError("InvalidStructureException", message)
        return definition

    def _put_version(self, key: Key, definition: Document, version: int) -> None:
        version_key = key._replace(type="Version", name=f"{key.name}/{version}")
        self.store.put(version_key, {**definition, "version": version})

    def GetPipeline(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["name"])
        pipeline = self.engine.pipeline(key)
        version: int = parameters.get("version") or pipeline["version"]
        return {
            "pipeline": self.engine.definition(key, version),
            "metadata": {
                "pipelineArn": pipeline_arn(key, key.name),
                "created": pipeline["created"],
                "updated": pipeline["updated"],
            },
        }

    def ListPipelines(self, call: Call, parameters: Document) -> Document:
        found = self.store.list(self.name, "Pipeline", call.account, call.region)
        shown, more = page(sorted(found, key=lambda pair: pair[0].name), parameters, 1000)
        return {"pipelines": [self._summary(key, pipeline) for key, pipeline in shown], **more}

    def _summary(self, key: Key, pipeline: Document) -> Document:
        definition = self.engine.definition(key, pipeline["version"])
        return {
            **{name: pipeline[name] for name in ("name", "version", "created", "updated")},
            **{name: definition[name] for name in ("pipelineType", "executionMode")},
        }

    def DeletePipeline(self, call: Call, parameters: Document) -> None:
        self.engine.forget(self.pipeline_key(call, parameters["name"]))  # that there is none is fine

    def GetPipelineState(self, call: Call, parameters: Document) -> Document:
        key = self.pipeline_key(call, parameters["name"])
        with self.store.transaction():
            pipeline = self.engine.pipeline(key)
            return pipeline_state(
                pipeline,
                self.engine.definition(key, pipeline["version"]),
                [self.engine.execution(key, identity) for identity in pipeline["active"]],
                lambda name: self.store.get(key._replace(type="Execution", name=f"{key.name}/{name}")),
                lambda name: self.store.get(key._replace(type="ActionExecution", name=f"{key.name}/{name}")),
            )

    def DisableStageTransition(self, call: Call, parameters: Document) -> None:
        with self.engine.scene(self.pipeline_key(call, parameters["pipelineName"])) as scene:
            find_stage(scene.definition, parameters["stageName"])
            commands.close_transition(
                scene, parameters["stageName"], parameters["transitionType"], parameters["reason"], caller(call)
            )

    def EnableStageTransition(self, call: Call, parameters: Document) -> None:
        with self.engine.scene(self.pipeline_key(call, parameters["pipelineName"])) as scene:
            find_stage(scene.definition, parameters["stageName"])
            commands.open_transition(scene, parameters["stageName"], parameters["transitionType"])

    def TagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, pipeline = self._by_arn(call, parameters["resourceArn"])
            pipeline["tags"] |= {tag["key"]: tag["value"] for tag in parameters["tags"]}
            _check_tags(pipeline["tags"])
            self.store.put(key, pipeline)

    def UntagResource(self, call: Call, parameters: Document) -> None:
        with self.store.transaction():
            key, pipeline = self._by_arn(call, parameters["resourceArn"])
            for name in parameters["tagKeys"]:
                pipeline["tags"].pop(name, None)
            self.store.put(key, pipeline)

    def ListTagsForResource(self, call: Call, parameters: Document) -> Document:
        tags, more = page(_tag_list(self._by_arn(call, parameters["resourceArn"])[1]["tags"]), parameters)
        return {"tags": tags, **more}

    def _by_arn(self, call: Call, arn: str) -> tuple[Key, Document]:
        name = arn.rpartition(":")[2]
        key = self.pipeline_key(call, name)
        pipeline = self.store.get(key)
        if pipeline is None or arn != pipeline_arn(key, name):
            raise ServiceError("ResourceNotFoundException", f"There is no pipeline with the ARN {arn}")
        return key, pipeline


def _tag_list(tags: Document) -> list[Document]:
    return [{"key": name, "value": value} for name, value in sorted(tags.items())]


def _check_tags(tags: Document) -> None:
    if len(tags) > MOST_TAGS:
        raise ServiceError("TooManyTagsException", f"A pipeline can have at most {MOST_TAGS} tags.")
    if reserved := sorted(name for name in tags if name.lower().startswith("aws:")):
        raise ServiceError("InvalidTagsException", f"Tag keys must not begin with 'aws:': {', '.join(reserved)}")
