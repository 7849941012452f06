"""One resource at a time: the steps of making, changing and removing it, each written down before it is taken."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from orchestrator.local.service import ServiceError
from orchestrator.local.services.cloudformation.engine.documents import STACK_TYPE, Documents
from orchestrator.local.services.cloudformation.engine.records import Instance, Leftover, Stack, StackResource, Work
from orchestrator.local.services.cloudformation.faults import NotYet, ResourceFailed, invalid
from orchestrator.local.services.cloudformation.language.dynamic import resolved
from orchestrator.local.services.cloudformation.providers import provider_of
from orchestrator.local.services.cloudformation.providers.contract import Provider, Request, absent
from orchestrator.local.store import Key

FORWARD = "forward"
STACK_TASK = "cloudformation.stack"
RESOURCE_TASK = "cloudformation.resource"
POLL_SECONDS = 0.25
NO_ANSWER_SECONDS = 0.1
PATIENCE_SECONDS = 3 * 3600.0
MOST_REFUSALS = 4
MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a mistake of ours looks like: it fails the resource, so that the stack comes to rest all the same."""
NOT_IMPLEMENTED = 501
BUSY_CODES = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
HANDLER_CODES = {"AccessDenied": "AccessDenied", "AccessDeniedException": "AccessDenied"}
CREATING = frozenset({"create", "replace"})
REMOVING = frozenset({"delete", "discard"})

LOGGER = logging.getLogger(__name__)


class Effects:
    """The task of a resource: carries out its ``work``, then wakes the stack."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._world = documents.world

    def step(self, key: Key) -> float | None:
        """Do what is next for the resource; a delay while something has to be waited for, None when it is done."""
        logical = key.name.rpartition("/")[2]
        while True:
            stack = self._documents.load(self._documents.stack_key_of(key))
            resource = self._documents.resource(stack, logical) if stack else None
            if stack is None or resource is None or resource.work is None:
                return None
            provider = provider_of(resource.type)
            if provider is None:
                raise RuntimeError(f"there is no provider of {resource.type}")
            try:
                delay = self._advance(stack, resource, resource.work, provider)
            except (ServiceError, ResourceFailed, ClientError, BotoCoreError) as error:
                delay = self._failed(stack, resource, resource.work, error)
            except MISTAKES as error:
                LOGGER.exception("the provider of %s failed at %s", resource.type, resource.logical)
                delay = self._failed(stack, resource, resource.work, error)
            if delay is not None:
                return delay

    def _advance(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        """One stage of the work. None: look again at once; a delay: later."""
        stage: Callable[..., float | None] = getattr(self, f"_{work.stage}")
        try:
            return stage(stack, resource, work, provider)
        except NotYet:
            return self._patience(work)

    # Creation, also of the successor in a replacement

    def _check(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        """A name that the template gives must be free: only then is what is found later our own."""
        if self._stopping(stack, work):
            return self._cancelled(stack, resource, work)
        there = provider.find(self._request(stack, resource, work)) if work.given_name else None
        if there and resource.instance and there == resource.instance.physical_id:
            raise invalid(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename"
                f" {work.name} and update the stack again."
            )
        if there:
            raise ResourceFailed(
                f"Resource of type '{resource.type}' with identifier '{work.name}' already exists.", "AlreadyExists"
            )
        work.noted = provider.note(self._request(stack, resource, work))
        return self._next_stage(stack, resource, work, "make")

    def _make(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        if work.tries == 0 and self._stopping(stack, work):
            return self._cancelled(stack, resource, work)
        request = self._begin_try(stack, resource, work)
        physical_id = (provider.find(request) if request.again else None) or provider.make(request)
        work.made = Instance(physical_id, work.properties, {}, work.name, work.depends, work.token)
        with self._documents.transaction():
            if resource.type == STACK_TYPE:
                self._documents.adopt(stack, physical_id)
            verb = "CREATE" if work.action == "create" else "UPDATE"
            self._documents.set_resource_status(
                stack, resource, f"{verb}_IN_PROGRESS", "Resource creation Initiated", physical_id
            )
            return self._next_stage(stack, resource, work, "settle")

    def _settle(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        provider.settle(self._begin_try(stack, resource, work))
        return self._next_stage(stack, resource, work, "wait")

    # Change in place

    def _change(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        if work.tries == 0 and self._stopping(stack, work):
            return self._cancelled(stack, resource, work)
        provider.update(self._begin_try(stack, resource, work))
        return self._next_stage(stack, resource, work, "wait")

    def _wait(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        """Until what was made or changed is in use."""
        request = self._request(stack, resource, work)
        if not provider.ready(request):
            if self._stopping(stack, work):
                return self._cancelled(stack, resource, work)
            return self._patience(work)
        return self._finish(stack, resource, work, provider.attributes(request))

    # Removal

    def _remove(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        provider.delete(self._begin_try(stack, resource, work))
        return self._next_stage(stack, resource, work, "gone")

    def _gone(self, stack: Stack, resource: StackResource, work: Work, provider: Provider) -> float | None:
        try:
            if not provider.gone(self._request(stack, resource, work)):
                return self._patience(work)
        except ClientError as error:
            if not absent(error):
                raise
        return self._finish(stack, resource, work, {})

    # What the stages share

    def _request(self, stack: Stack, resource: StackResource, work: Work) -> Request:
        role = stack.goal.role

        def client(service: str) -> Any:
            return self._world.client(service, stack.account, stack.region, role)

        current = resource.instance if work.action == "update" else work.made
        removing = work.action in REMOVING
        return Request(
            type=resource.type,
            logical=resource.logical,
            name=work.name,
            token=work.token,
            account=stack.account,
            region=stack.region,
            stack_id=stack.id,
            client=client,
            properties=work.properties if removing else resolved(work.properties, client),
            before=current.properties if current and work.action not in CREATING else {},
            physical_id=current.physical_id if current else "",
            attributes=current.attributes if current else {},
            noted=tuple(work.noted),
            again=work.tries > 1,
            capabilities=tuple(stack.goal.capabilities),
            role=role,
        )

    def _begin_try(self, stack: Stack, resource: StackResource, work: Work) -> Request:
        """Count the attempt before it is made, so that a restart knows that it may have had its effect."""
        work.tries += 1
        self._documents.save_resource(stack, resource)
        return self._request(stack, resource, work)

    def _next_stage(self, stack: Stack, resource: StackResource, work: Work, stage: str) -> float | None:
        work.stage, work.tries, work.refusals, work.since = stage, 0, 0, self._world.now()
        self._documents.save_resource(stack, resource)
        return None

    def _patience(self, work: Work) -> float:
        if self._world.now() - work.since > PATIENCE_SECONDS:
            raise ResourceFailed("The resource did not come to rest in time", "NotStabilized")
        return POLL_SECONDS

    def _stopping(self, stack: Stack, work: Work) -> bool:
        """Whether the operation that began this work has turned round meanwhile."""
        if not work.turn.endswith(f"/{FORWARD}"):
            return False
        operation = stack.operation
        return operation is None or operation.turn != work.turn or operation.stopping()

    def _cancelled(self, stack: Stack, resource: StackResource, work: Work) -> float | None:
        verb, noun = ("CREATE", "creation") if work.action == "create" else ("UPDATE", "update")
        return self._end(stack, resource, work, f"{verb}_FAILED", f"Resource {noun} cancelled", failed=False)

    # The end of a piece of work

    def _finish(self, stack: Stack, resource: StackResource, work: Work, attributes: Mapping[str, Any]) -> float | None:
        if work.action in REMOVING:
            return self._end(stack, resource, work, "DELETE_COMPLETE", "")
        if work.action in CREATING and work.made:
            work.made.attributes = dict(attributes)
            resource.instance = work.made
        elif resource.instance:
            resource.instance.properties = work.properties
            resource.instance.depends = work.depends
            resource.instance.attributes = dict(attributes)
        verb = "CREATE" if work.action == "create" else "UPDATE"
        return self._end(stack, resource, work, f"{verb}_COMPLETE", "")

    def _end(
        self, stack: Stack, resource: StackResource, work: Work, status: str, reason: str, *, failed: bool = False
    ) -> float | None:
        """Write how the work ended, and wake the stack."""
        with self._documents.transaction():
            stack = self._documents.load(self._documents.stack_key(stack)) or stack
            resource.work = None
            if status.endswith("_FAILED"):
                _keep_what_exists(resource, work)
            else:
                resource.settled = work.turn
            physical_id = work.made.physical_id if work.made else resource.physical_id
            if work.action == "discard":
                self._end_discard(stack, resource, status, reason, physical_id)
            else:
                if status == "DELETE_COMPLETE":
                    resource.instance, resource.removing = None, False
                self._documents.set_resource_status(stack, resource, status, reason, physical_id)
            operation = stack.operation
            if failed and operation and operation.turn == work.turn:
                operation.failed.append(resource.logical)
                self._documents.save(stack)
            self._world.tasks.schedule(STACK_TASK, self._documents.stack_key(stack))
        return None

    def _end_discard(self, stack: Stack, resource: StackResource, status: str, reason: str, physical_id: str) -> None:
        """The removal of a predecessor; the resource itself keeps its status."""
        resource.leftovers = resource.leftovers[1:]
        self._documents.save_resource(stack, resource)
        self._documents.note_resource(stack, resource, status, reason, physical_id)

    def _failed(self, stack: Stack, resource: StackResource, work: Work, error: Exception) -> float | None:
        if isinstance(error, (ConnectionError, HTTPClientError)):
            LOGGER.info("no answer for %s of %s; again soon: %s", work.action, resource.logical, error)
            return NO_ANSWER_SECONDS
        if isinstance(error, ClientError) and _busy(error) and work.refusals < MOST_REFUSALS:
            work.refusals += 1
            self._documents.save_resource(stack, resource)
            return POLL_SECONDS * float(2**work.refusals)
        verb = {"create": "CREATE", "delete": "DELETE", "discard": "DELETE"}.get(work.action, "UPDATE")
        return self._end(stack, resource, work, f"{verb}_FAILED", reason_of(error, work.token), failed=True)


def _keep_what_exists(resource: StackResource, work: Work) -> None:
    """What a failed piece of work leaves behind, so that a rollback can take it back or remove it."""
    if work.action == "create" and work.made:
        resource.instance = work.made
    elif work.action == "replace" and work.made:
        resource.leftovers.append(Leftover(work.made))
    elif work.action == "update" and resource.instance:
        resource.instance.properties = work.properties  # some of it may be in force


def _busy(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    return (status >= 500 and status != NOT_IMPLEMENTED) or error.response.get("Error", {}).get("Code") in BUSY_CODES


def reason_of(error: Exception, token: str) -> str:
    """The status reason of a failed resource, as CloudFormation words what a handler answered."""
    if isinstance(error, ServiceError):
        return error.message
    if isinstance(error, ResourceFailed):
        return _handler_message(error.message, token, error.code)
    if not isinstance(error, ClientError):
        return f"Internal Failure: {error}"
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    request = error.response.get("ResponseMetadata", {}).get("RequestId", "")
    handler = HANDLER_CODES.get(code) or ("AlreadyExists" if "Exist" in code else "NotFound" if absent(error) else "")
    text = f"{message} (Operation: {error.operation_name}, Code: {code}, Status Code: {status}, Request ID: {request})"
    return _handler_message(text, token, handler or "InvalidRequest")


def _handler_message(message: str, token: str, code: str) -> str:
    return f'Resource handler returned message: "{message}" (RequestToken: {token}, HandlerErrorCode: {code})'
