"""A stand-in for SageMaker whose jobs end when a test says so; it counts what it is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from orchestrator.local.service import Call, Service, ServiceError
from orchestrator.local.store import AlreadyExists

Parameters = dict[str, Any]


class StandInSageMaker(Service):
    """Training jobs only: created, described, stopped, and set to a status by the test."""

    name: ClassVar[str] = "sagemaker"
    asked: ClassVar[list[str]] = []
    refuse: ClassVar[str] = ""

    def CreateTrainingJob(self, call: Call, parameters: Parameters) -> Parameters:
        self.asked.append("create")
        if self.refuse:
            raise ServiceError(self.refuse, "refused by the test")
        name = parameters["TrainingJobName"]
        arn = f"arn:aws:sagemaker:{call.region}:{call.account}:training-job/{name}"
        times = {"CreationTime": self.world.now(), "LastModifiedTime": self.world.now()}
        document = {**parameters, **times, "TrainingJobArn": arn, "TrainingJobStatus": "InProgress"}
        try:
            self.store.create(self.key(call, "TrainingJob", name), document)
        except AlreadyExists:
            raise ServiceError("ResourceInUse", f"{name} exists") from None
        return {"TrainingJobArn": arn}

    def DescribeTrainingJob(self, call: Call, parameters: Parameters) -> Parameters:
        document = self.store.get(self.key(call, "TrainingJob", parameters["TrainingJobName"]))
        if document is None:
            raise ServiceError("ValidationException", "Requested resource not found.")
        return document

    def StopTrainingJob(self, call: Call, parameters: Parameters) -> None:
        self.asked.append("stop")
        self.end(call, parameters["TrainingJobName"], "Stopped")

    def ListTags(self, call: Call, parameters: Parameters) -> Parameters:
        name = parameters["ResourceArn"].rpartition("/")[2]
        document = self.store.get(self.key(call, "TrainingJob", name)) or {}
        return {"Tags": document.get("Tags", [])}

    def end(self, call: Call, name: str, status: str, **members: Any) -> None:
        self.store.patch(self.key(call, "TrainingJob", name), TrainingJobStatus=status, **members)
