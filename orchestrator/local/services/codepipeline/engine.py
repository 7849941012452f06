"""Pipelines at work: scenes are loaded, advanced and saved in one transaction; actions run as persisted tasks."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from orchestrator.local.service import ServiceError
from orchestrator.local.services.codepipeline import machine
from orchestrator.local.services.codepipeline.action import Action, ActionFailed, Success
from orchestrator.local.services.codepipeline.definition import ActionTypes, type_of
from orchestrator.local.services.codepipeline.scene import FAILED, IN_PROGRESS, SUCCEEDED, Note, Scene
from orchestrator.local.services.codepipeline.work import Withdrawn, Work
from orchestrator.local.store import Document, Key
from orchestrator.local.trust import Trust
from orchestrator.local.world import World

ACTION_TASK = "codepipeline.action"
NEWS_TASK = "codepipeline.news"
PASSING = (500, 502, 503, 504)
"""HTTP statuses after which a call is worth repeating."""
PATIENCE = 5
PRINCIPAL = "codepipeline.amazonaws.com"
LOGGER = logging.getLogger(__name__)


class Engine:
    """Everything durable about pipelines.

    Documents are named ``pipeline``, ``pipeline/version``, ``pipeline/execution`` and ``pipeline/execution/action``.
    """

    def __init__(self, world: World, types: ActionTypes) -> None:
        self.world = world
        self.store = world.store
        self.types = types
        self.trust = Trust(world)
        world.tasks.register(ACTION_TASK, self._run_action)
        world.tasks.register(NEWS_TASK, self._tell_news)

    @contextmanager
    def scene(self, key: Key, *executions: str) -> Iterator[Scene]:
        """The scene of a pipeline, with these executions even if they are over; advanced and saved at the end.

        Raises PipelineNotFoundException and PipelineExecutionNotFoundException.
        """
        with self.store.transaction():
            scene, before = self._load(key, executions)
            yield scene
            machine.advance(scene)
            self._save(key, scene, before)

    def pipeline(self, key: Key) -> Document:
        """The pipeline's document; raises PipelineNotFoundException."""
        pipeline = self.store.get(key)
        if pipeline is None:
            message = f"Account '{key.account}' does not have a pipeline with name '{key.name}'"
            raise ServiceError("PipelineNotFoundException", message)
        return pipeline

    def definition(self, key: Key, version: int) -> Document:
        """The declaration of one version; raises PipelineVersionNotFoundException."""
        document = self.store.get(key._replace(type="Version", name=f"{key.name}/{version}"))
        if document is None:
            message = f"Pipeline '{key.name}' has no version {version}"
            raise ServiceError("PipelineVersionNotFoundException", message)
        return document

    def execution(self, key: Key, identity: str) -> Document:
        """An execution's document; raises PipelineExecutionNotFoundException."""
        document = self.store.get(_execution_key(key, identity))
        if document is None:
            message = f"Pipeline '{key.name}' does not have an execution with ID '{identity}'"
            raise ServiceError("PipelineExecutionNotFoundException", message)
        return document

    def executions(self, key: Key) -> list[Document]:
        """All executions of a pipeline, newest first."""
        found = self.store.list(key.service, "Execution", key.account, key.region, f"{key.name}/")
        return sorted((document for _, document in found), key=lambda each: -each["order"])

    def actions(self, key: Key, execution: str = "") -> list[Document]:
        """The action executions of a pipeline, or of one of its executions, newest first."""
        prefix = f"{key.name}/{execution}/" if execution else f"{key.name}/"
        found = self.store.list(key.service, "ActionExecution", key.account, key.region, prefix)
        return [document for _, document in reversed(found)]

    def forget(self, key: Key) -> None:
        """Delete a pipeline and all it has left; what its actions have begun elsewhere goes on."""
        with self.store.transaction():
            for kind in ("Version", "Execution", "ActionExecution"):
                for each, document in self.store.list(key.service, kind, key.account, key.region, f"{key.name}/"):
                    self.store.delete(each)
                    if job := document.get("memory", {}).get("job"):
                        self.store.delete(key._replace(type="Job", name=job))
            self.store.delete(key)

    # --- scenes

    def _load(self, key: Key, extra: tuple[str, ...]) -> tuple[Scene, dict[Key, str]]:
        pipeline = self.pipeline(key)
        documents = {key: pipeline}
        executions = {}
        for identity in dict.fromkeys([*pipeline["active"], *extra]):
            executions[identity] = documents[_execution_key(key, identity)] = self.execution(key, identity)
        actions = {}
        for identity, execution in executions.items():
            record = execution["stages"].get(execution["stage"])
            for action in record["actions"].values() if record else ():
                action_key = _action_key(key, identity, action)
                document = self.store.get(action_key)
                if document is not None:
                    actions[action] = documents[action_key] = document
        versions = {pipeline["version"], *(execution["version"] for execution in executions.values())}
        scene = Scene(
            pipeline=pipeline,
            definitions={version: self.definition(key, version) for version in versions},
            executions=executions,
            actions=actions,
            now=self.world.now(),
            new_id=lambda: str(uuid.uuid4()),
            past=lambda identity: self.store.get(_execution_key(key, identity)),
        )
        return scene, {each: json.dumps(document) for each, document in documents.items()}

    def _save(self, key: Key, scene: Scene, before: dict[Key, str]) -> None:
        after = {key: scene.pipeline}
        after |= {_execution_key(key, identity): execution for identity, execution in scene.executions.items()}
        after |= {_action_key(key, action["execution"], identity): action for identity, action in scene.actions.items()}
        for each, document in after.items():
            if before.get(each) != json.dumps(document):
                self.store.put(each, document)
        for identity in scene.begun:
            action = scene.actions[identity]
            if action["status"] == IN_PROGRESS:
                self.world.tasks.schedule(ACTION_TASK, _action_key(key, action["execution"], identity))
        for note in scene.notes:
            self._keep_news(key, note)

    # --- actions

    def _run_action(self, key: Key) -> float | None:
        document = self.store.get(key)
        if document is None or document["status"] != IN_PROGRESS:
            return None
        work = Work(self.world, key, document)
        kind = self.types[type_of(work.declaration)]
        outcome = self._outcome(kind, work)
        if isinstance(outcome, float):
            return min(outcome, max(0.0, _limit(kind, work) - work.elapsed()))
        self._close(key, outcome)
        return None

    def _outcome(self, kind: Action, work: Work) -> float | Success | ActionFailed | None:
        """What the action's step comes to; None when nobody waits for the action any more."""
        try:
            if work.elapsed() > _limit(kind, work):
                return ActionFailed(f"The action timed out after {_limit(kind, work) / 60:.0f} minutes.")
            if fault := self.trust.fault(work.role, *_takers(work)):
                return ActionFailed(f"The action cannot be run as its role: {fault}.", "PermissionError")
            return kind.advance(work)
        except Withdrawn:
            return None
        except ActionFailed as failure:
            return failure
        except (HTTPClientError, ConnectionError):
            raise  # the embedded AWS is starting or stopping: the task comes again
        except ClientError as problem:
            return self._outcome_of_error(work, problem)
        except Exception as problem:
            LOGGER.exception("action %s failed unexpectedly", work.key.name)
            return ActionFailed(f"The embedded AWS failed: {problem!r:.500}", "SystemUnavailable")

    def _outcome_of_error(self, work: Work, problem: ClientError) -> ActionFailed:
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        failures = work.memory.get("failures", 0)
        if status in PASSING and failures < PATIENCE:
            work.remember(failures=failures + 1)
            raise problem
        error = problem.response["Error"]
        code = "PermissionError" if error["Code"] in ("AccessDenied", "AccessDeniedException") else "JobFailed"
        message = f"{problem.operation_name}: {error['Message']} (Error Code: {error['Code']})"
        return ActionFailed(message, code)

    def _close(self, key: Key, outcome: Success | ActionFailed | None) -> None:
        """Write the outcome down and let the pipeline go on, in one transaction."""
        pipeline = key._replace(type="Pipeline", name=key.name.partition("/")[0])
        with self.store.transaction():
            document = self.store.get(key)
            if outcome is None or document is None or document["status"] != IN_PROGRESS:
                return
            document["updated"] = self.world.now()
            document["external"] = outcome.external
            if isinstance(outcome, ActionFailed):
                document["status"] = FAILED
                document["error"] = {"code": outcome.code, "message": outcome.message[:5000] or outcome.code}
            else:
                document["status"] = SUCCEEDED
                document["summary"] = outcome.summary
                document["variables"] = dict(outcome.variables)
                document["revision"] = outcome.revision
            self.store.put(key, document)
            with self.scene(pipeline):
                pass  # only to advance it

    # --- news for EventBridge

    def _keep_news(self, key: Key, note: Note) -> None:
        """One list of untold events for each execution, so that they are told in order."""
        news_key = _execution_key(key, note.execution)._replace(type="News")
        news = self.store.get(news_key) or {"untold": []}
        news["untold"].append({"kind": note.kind, "detail": note.detail})
        self.store.put(news_key, news)
        self.world.tasks.schedule(NEWS_TASK, news_key)

    def _tell_news(self, key: Key) -> float | None:
        name = key.name.partition("/")[0]
        while (news := self.store.get(key)) and news["untold"]:
            first = news["untold"][0]
            resources = [pipeline_arn(key, name)]
            self.world.emit(key.account, key.region, "aws.codepipeline", first["kind"], first["detail"], resources)
            self.store.update(key, lambda document: {"untold": document["untold"][1:]})
        with self.store.transaction():
            news = self.store.get(key)
            if news and not news["untold"]:
                self.store.delete(key)
        return None


def pipeline_arn(key: Key, name: str) -> str:
    """The ARN of a pipeline in the key's account and region."""
    partition = next((p for prefix, p in PARTITIONS.items() if key.region.startswith(prefix)), "aws")
    return f"arn:{partition}:codepipeline:{key.region}:{key.account}:{name}"


PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


def _limit(kind: Action, work: Work) -> float:
    """Seconds after which the action has timed out."""
    minutes = work.declaration.get("timeoutInMinutes")
    return float(minutes * 60) if minutes else kind.timeout


def _takers(work: Work) -> list[str]:
    """Who takes the action's role: CodePipeline itself, or the pipeline's role on its behalf."""
    if work.role == work.pipeline_role:
        return [PRINCIPAL]
    _, partition, _, _, account, _ = work.pipeline_role.split(":", 5)
    return [work.pipeline_role, PRINCIPAL, account, f"arn:{partition}:iam::{account}:root"]


def _execution_key(pipeline: Key, identity: str) -> Key:
    return pipeline._replace(type="Execution", name=f"{pipeline.name}/{identity}")


def _action_key(pipeline: Key, execution: str, identity: str) -> Key:
    return pipeline._replace(type="ActionExecution", name=f"{pipeline.name}/{execution}/{identity}")
