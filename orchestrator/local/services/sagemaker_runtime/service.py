"""InvokeEndpoint: which variant, which process, and what its answer means."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.services.sagemaker.capture import Capture
from orchestrator.local.services.sagemaker.fleet import Fleet
from orchestrator.local.services.sagemaker.plane import ENDPOINT
from orchestrator.local.services.sagemaker.plane import NAME as SAGEMAKER
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, words
from orchestrator.local.services.sagemaker_runtime.meter import Invocation, Meter
from orchestrator.local.services.sagemaker_runtime.proxy import Answer, Connections, NoAnswer
from orchestrator.local.store import Document, Key
from orchestrator.runtime.process import is_held
from orchestrator.runtime.serving.spec import State

SUPPORTED = words("EndpointName Body ContentType Accept CustomAttributes TargetVariant InferenceId")
LARGEST_BODY = 6 * 1024 * 1024
ANSWER_SECONDS = 60.0
"""What a container has for an answer; a limit of SageMaker's real-time endpoints."""
RETURN_SECONDS = 30.0
"""How long a caller waits for processes that are being started after a restart of the embedded AWS."""
ANSWERING = ("InService", "Updating", "RollingBack")


class SageMakerRuntime(Service):
    """InvokeEndpoint. Streams and asynchronous inference are refused by name."""

    name = "sagemaker-runtime"

    def register_tasks(self) -> None:
        self._connections = Connections()
        self._capture = Capture(self.world)
        self._meter = Meter(self.world)

    def close(self) -> None:
        self._meter.close()
        self._connections.close()

    def InvokeEndpoint(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        refuse_unsupported("InvokeEndpoint", parameters, SUPPORTED)
        key = Key(call.account, call.region, SAGEMAKER, ENDPOINT.type, parameters["EndpointName"])
        document = self.store.get(key)
        if document is None or document["EndpointStatus"] not in ANSWERING or not document["serving"]:
            raise ServiceError("ValidationError", f"Endpoint {key.name} of account {key.account} not found.")
        body: bytes = parameters.get("Body", b"")
        if len(body) > LARGEST_BODY:
            raise ServiceError("ValidationError", f"The request body is larger than {LARGEST_BODY} bytes.", 413)
        variant = _choose(document, parameters.get("TargetVariant"))
        asked = time.monotonic()
        try:
            answer = self._ask(key, document, variant, body, parameters)
        except ServiceError as error:
            self._count(key, document, variant, int(error.members.get("OriginalStatusCode", 0)), began, asked)
            raise
        self._count(key, document, variant, answer.status, began, asked)
        self._capture.record(
            key,
            variant,
            document["deployments"][document["serving"]]["capture"],
            (body, parameters.get("ContentType", "application/octet-stream")),
            (answer.body, answer.content_type),
            _metadata(parameters),
        )
        return {
            "Body": answer.body,
            "ContentType": answer.content_type,
            "InvokedProductionVariant": variant,
            "CustomAttributes": answer.headers.get("x-amzn-sagemaker-custom-attributes"),
        }

    def _count(self, key: Key, document: Document, variant: str, status: int, began: float, asked: float) -> None:
        """Count the request for CloudWatch; the model was asked at ``asked`` and has answered just now."""
        now, instances = time.monotonic(), int(document["variants"][variant]["count"])
        self._meter.count(key, Invocation(variant, status, now - asked, now - began, instances))

    def _ask(self, key: Key, document: Document, variant: str, body: bytes, parameters: Mapping[str, Any]) -> Answer:
        headers = {
            wire: parameters[member]
            for member, wire in (
                ("ContentType", "Content-Type"),
                ("Accept", "Accept"),
                ("CustomAttributes", "X-Amzn-SageMaker-Custom-Attributes"),
                ("InferenceId", "X-Amzn-SageMaker-Inference-Id"),
            )
            if member in parameters
        }
        try:
            port = self._port(key, document, variant)
            answer = self._connections.post(port, "/invocations", body, headers, ANSWER_SECONDS)
        except NoAnswer as error:
            raise _model_error(key, 0, _silence(error)) from error
        if not 200 <= answer.status < 300:
            raise _model_error(key, answer.status, answer.body.decode(errors="replace"))
        return answer

    def _port(self, key: Key, document: Document, variant: str) -> int:
        """Where the variant's process listens; waits while a restart brings it back."""
        fleet = Fleet(self.world, key, document["serving"], document["deployments"][document["serving"]])
        folder = fleet.folder / variant
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            state = State.read(folder)
            if state and state.port and state.phase in ("ready", "restarting") and is_held(folder / "lock"):
                return state.port
            if time.monotonic() > deadline:
                raise NoAnswer("the model process is not there", timed_out=False)
            time.sleep(0.05)


def _choose(document: Document, wanted: str | None) -> str:
    """The variant that was asked for, or one by weight."""
    names = [str(name) for name in document["variants"]]
    if wanted is not None:
        if wanted not in names:
            raise ServiceError(
                "ValidationError", f"Could not find variant {wanted} of endpoint {document['EndpointName']}."
            )
        return wanted
    weights = [document["variants"][name]["weight"] for name in names]
    return random.choices(names, weights)[0]  # noqa: S311


def _metadata(parameters: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if "CustomAttributes" in parameters:
        told["customAttributes"] = [parameters["CustomAttributes"]]
    if "InferenceId" in parameters:
        told["inferenceId"] = parameters["InferenceId"]
    return told


def _silence(error: NoAnswer) -> str:
    if error.timed_out:
        return (
            "Your invocation timed out while waiting for a response from container primary. Review the latency metrics"
            " for each container in Amazon CloudWatch, resolve the issue, and try again."
        )
    return f"The model process ended before it answered: {error}"


def _model_error(key: Key, status: int, message: str) -> ServiceError:
    """ModelError as SageMaker words it."""
    group = f"/aws/sagemaker/Endpoints/{key.name}"
    console = (
        f"https://{key.region}.console.aws.amazon.com/cloudwatch/home?region={key.region}#logEventViewer:group={group}"
    )
    side = "client" if 400 <= status < 500 else "server"
    text = (
        f'Received {side} error ({status}) from primary with message "{message}". See {console} in account'
        f" {key.account} for more information."
    )
    return ServiceError(
        "ModelError", text, 424, OriginalStatusCode=status, OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{key.region}:{key.account}:log-group:{group}",
    )  # fmt: skip
