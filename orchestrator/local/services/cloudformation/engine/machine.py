"""The life of a stack operation: its phases, and the statuses between them."""

from __future__ import annotations

import logging

from botocore.exceptions import ConnectionError, HTTPClientError

from orchestrator.local.service import ServiceError
from orchestrator.local.services.cloudformation.engine import forward, removal, undo
from orchestrator.local.services.cloudformation.engine.documents import NOTICES, Documents
from orchestrator.local.services.cloudformation.engine.effects import (
    MISTAKES,
    RESOURCE_TASK,
    STACK_TASK,
    Effects,
)
from orchestrator.local.services.cloudformation.engine.frames import Frames
from orchestrator.local.services.cloudformation.engine.records import DELETED
from orchestrator.local.services.cloudformation.engine.run import Run
from orchestrator.local.services.cloudformation.faults import invalid
from orchestrator.local.store import Key

LOGGER = logging.getLogger(__name__)
NOTICE_RETRY_SECONDS = 1.0
TIMED_OUT = "Stack creation time exceeded the specified timeout."
ROLLING_BACK = " Rollback requested by user."


class Machine:
    """Brings stack operations forward, one step at a time; every step is one transaction."""

    def __init__(self, documents: Documents, frames: Frames) -> None:
        self._documents = documents
        self._frames = frames
        self._effects = Effects(documents)

    def register(self) -> None:
        """Register the tasks of stacks, resources and notices."""
        tasks = self._documents.world.tasks
        tasks.register(STACK_TASK, self.step, is_work=True)
        tasks.register(RESOURCE_TASK, self._effects.step, is_work=True)
        tasks.register(NOTICES, self._notices)

    def _notices(self, key: Key) -> float | None:
        try:
            self._documents.send_notices(key)
        except (ConnectionError, HTTPClientError):
            return NOTICE_RETRY_SECONDS
        return None

    def step(self, key: Key) -> float | None:
        """Look at a stack, begin what can be begun, and move on when a phase is over."""
        with self._documents.transaction():
            stack = self._documents.load(key)
            if stack is None or stack.operation is None:
                return None
            run = Run(self._documents, self._frames, stack, stack.operation, self._documents.resources(stack))
            phases = {
                "forward": self._forward,
                "undo": self._undo,
                "cleanup": self._cleanup,
                "remove": self._remove,
            }
            phases[run.operation.phase](run)
            deadline = stack.operation.deadline if stack.operation else 0.0
        return max(0.1, deadline - self._documents.world.now()) if deadline else None

    # Forward

    def _forward(self, run: Run) -> None:
        operation = run.operation
        if operation.deadline and run.documents.world.now() >= operation.deadline and not operation.reason:
            operation.reason = TIMED_OUT
            run.save()
        try:
            check_imports(run)
            done = forward.advance(run)
            if done:
                run.stack.outputs = forward.outputs(run)
        except ServiceError as error:
            operation.reason = error.message
            run.save()
            done = False
        except MISTAKES as error:
            LOGGER.exception("stack %s cannot go on", run.stack.name)
            operation.reason = f"Internal Failure: {error!r}."
            run.save()
            done = False
        if operation.stopping() and not run.working:
            self._turn_round(run)
        elif done and not run.working:
            self._arrived(run)

    def _arrived(self, run: Run) -> None:
        """Every resource is where it should be."""
        if run.operation.kind == "create":
            self._settled(run)
            self._finish(run, "CREATE_COMPLETE")
            return
        run.operation.deadline = 0.0
        run.turn_to("cleanup")
        run.status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        removal.mark_superseded(run)
        self._cleanup(run)

    def _turn_round(self, run: Run) -> None:
        """Something failed, and nothing is under way any more."""
        operation, creating = run.operation, run.operation.kind == "create"
        reason = self._failure(run)
        operation.deadline = 0.0
        if operation.on_failure == "DO_NOTHING":
            self._finish(run, "CREATE_FAILED" if creating else "UPDATE_FAILED", reason)
        elif not creating:
            self._begin_undo(run, reason)
        elif operation.on_failure == "DELETE":
            self._begin_removal(run, "DELETE_IN_PROGRESS", reason + " Delete requested by user.")
        else:
            self._begin_removal(run, "ROLLBACK_IN_PROGRESS", reason + ROLLING_BACK)

    @staticmethod
    def _failure(run: Run) -> str:
        """Which resources failed at what or, when none did, why the operation turned round."""
        by_verb: dict[str, list[str]] = {}
        for name in run.operation.failed:
            new = run.resources[name].status == "CREATE_FAILED"
            verb = "delete" if run.operation.phase == "remove" else "create" if new else "update"
            by_verb.setdefault(verb, []).append(name)
        sentences = (
            f"The following resource(s) failed to {verb}: [{', '.join(names)}]." for verb, names in by_verb.items()
        )
        return " ".join(sentences) or run.operation.reason

    # Backward

    def _begin_undo(self, run: Run, reason: str) -> None:
        """Turn an update back; the stack's goal is what it was before."""
        run.turn_to("undo")
        stack = run.stack
        if stack.stable:
            role = stack.goal.role
            stack.goal = stack.stable
            stack.goal.role = role
        run.status("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        self._undo(run)

    def _undo(self, run: Run) -> None:
        if run.working and run.operation.failed:
            return
        done = undo.advance(run)
        if run.working:
            return
        if run.operation.failed:
            self._finish(run, "UPDATE_ROLLBACK_FAILED", self._failure(run))
        elif done:
            self._restore_outputs(run)
            run.turn_to("cleanup")
            run.status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
            removal.mark_new(run)
            self._cleanup(run)

    @staticmethod
    def _restore_outputs(run: Run) -> None:
        """Outputs and policies as the old template has them."""
        frame = run.frame()
        for resource in run.resources.values():
            entry = frame.resources.get(resource.logical)
            if entry:
                resource.deletion_policy, resource.replace_policy = entry.deletion_policy, entry.replace_policy
        try:
            run.stack.outputs = forward.outputs(run)
        except ServiceError:
            run.save()  # an import is gone meanwhile: the outputs stay as they were last known

    # Away

    def _begin_removal(self, run: Run, status: str, reason: str) -> None:
        """Begin to take every resource away."""
        run.turn_to("remove")
        run.status(status, reason)
        removal.mark_all(run)
        self._remove(run)

    def _cleanup(self, run: Run) -> None:
        if not removal.advance(run):
            return
        updated = run.stack.status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        for logical, resource in list(run.resources.items()):
            if resource.instance is None or resource.removing:
                run.documents.drop_resource(run.stack, logical)
                del run.resources[logical]
        self._settled(run)
        self._finish(run, "UPDATE_COMPLETE" if updated else "UPDATE_ROLLBACK_COMPLETE")

    def _remove(self, run: Run) -> None:
        if any(resource.work and resource.work.turn != run.operation.turn for resource in run.working):
            return  # what was being made when the removal was asked for ends first
        if any(resource.instance and not resource.removing for resource in run.resources.values()):
            removal.mark_all(run)
        if not removal.advance(run):
            return
        ending = run.stack.status.removesuffix("_IN_PROGRESS")
        if run.operation.failed and run.operation.force:
            removal.abandon_failed(run)
            self._remove(run)
            return
        if run.operation.failed:
            self._finish(run, f"{ending}_FAILED", self._failure(run))
            return
        run.stack.outputs, run.stack.imports = [], []
        self._finish(run, f"{ending}_COMPLETE")

    # The end

    @staticmethod
    def _settled(run: Run) -> None:
        """What the operation brought about is what the stack is from now on."""
        run.stack.stable = None
        run.stack.imports = run.frame().imports()
        for resource in run.resources.values():
            resource.touched, resource.stable, resource.born, resource.removing = False, None, "", False
            run.documents.save_resource(run.stack, resource)

    def _finish(self, run: Run, status: str, reason: str = "") -> None:
        run.status(status, reason)
        self._finish_change_set(run, status)
        run.stack.operation = None
        run.save()
        if status == DELETED:
            self._drop_change_sets(run)

    def _finish_change_set(self, run: Run, status: str) -> None:
        """The change set that began this operation has been executed, or has failed to be."""
        if not run.stack.change_set:
            return
        key = change_set_key(run.stack.change_set)
        change_set = run.documents.store.get(key)
        if change_set and change_set["execution"] == "EXECUTE_IN_PROGRESS":
            done = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
            run.documents.store.patch(key, execution="EXECUTE_COMPLETE" if done else "EXECUTE_FAILED")

    def _drop_change_sets(self, run: Run) -> None:
        stack = run.stack
        for key, change_set in run.documents.store.list("cloudformation", "ChangeSet", stack.account, stack.region):
            if change_set["stack"] == stack.id:
                run.documents.store.delete(key)


def check_imports(run: Run) -> None:
    """Raise ValidationError when the stack imports what nobody exports; hold on to what it imports."""
    imports = run.frame().imports()
    for name in imports:
        if run.exports.get(name) is None:
            raise invalid(f"No export named {name} found.")
    run.stack.imports = sorted({*run.stack.imports, *imports})


def change_set_key(arn: str) -> Key:
    """Where a change set lives: its ARN says everything."""
    _, _, service, region, account, resource = arn.split(":", 5)
    return Key(account, region, service, "ChangeSet", resource.removeprefix("changeSet/"))
