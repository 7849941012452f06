"""Hyperparameter tuning jobs: the operations. What happens afterwards is in ``tuning_life``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker import search
from orchestrator.local.services.sagemaker.outbox import event
from orchestrator.local.services.sagemaker.plane import TUNING_JOB, invalid
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words
from orchestrator.local.services.sagemaker.training_jobs import TrainingJobs
from orchestrator.local.store import Document

TASK = "sagemaker.tuning-job"
DETAIL_TYPE = "SageMaker HyperParameter Tuning Job State Change"
OPERATION = "CreateHyperParameterTuningJob"
TERMINAL = ("Completed", "Failed", "Stopped")
OBJECTIVE_PARAMETER = "_tuning_objective_metric"
DEFINITION = "TrainingJobDefinition"
SUPPORTED = {
    "": "HyperParameterTuningJobName HyperParameterTuningJobConfig TrainingJobDefinition Tags",
    "HyperParameterTuningJobConfig": "Strategy HyperParameterTuningJobObjective ResourceLimits ParameterRanges"
    " TrainingJobEarlyStoppingType TuningJobCompletionCriteria RandomSeed",
    DEFINITION: "DefinitionName StaticHyperParameters AlgorithmSpecification RoleArn InputDataConfig VpcConfig"
    " OutputDataConfig ResourceConfig HyperParameterTuningResourceConfig StoppingCondition EnableNetworkIsolation"
    " EnableInterContainerTrafficEncryption EnableManagedSpotTraining CheckpointConfig RetryStrategy Environment",
}
TRAINING = (
    "AlgorithmSpecification RoleArn InputDataConfig VpcConfig OutputDataConfig ResourceConfig StoppingCondition"
    " EnableNetworkIsolation EnableInterContainerTrafficEncryption EnableManagedSpotTraining CheckpointConfig"
    " RetryStrategy Environment"
)
"""Members of the definition that every training job gets as they are."""
RESOURCES = "InstanceType InstanceCount VolumeSizeInGB VolumeKmsKeyId"
SORTED_BY = {"Name": "TrainingJobName", "CreationTime": "CreationTime", "Status": "TrainingJobStatus"}


class TuningJobs(TrainingJobs):
    """CreateHyperParameterTuningJob and its sisters."""

    def CreateHyperParameterTuningJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, TUNING_JOB, parameters["HyperParameterTuningJobName"])
        _check_supported(parameters)
        configuration, limit = _checked_configuration(parameters["HyperParameterTuningJobConfig"])
        definition = parameters[DEFINITION]
        objective = configuration["HyperParameterTuningJobObjective"]
        algorithm = self.checked_algorithm(call, training_request(definition, key.name, {}, objective["MetricName"]))
        _check_objective(objective["MetricName"], algorithm)
        with self.store.transaction():
            document = self.create(
                key,
                TUNING_JOB,
                {**parameters, "HyperParameterTuningJobConfig": configuration},
                HyperParameterTuningJobStatus="InProgress",
                trials=[],
                limit=limit,
                **counters([]),
            )
            self.tell(key, tuning_event(document))
            self.tasks.schedule(TASK, key)
        return {"HyperParameterTuningJobArn": document["HyperParameterTuningJobArn"]}

    def DescribeHyperParameterTuningJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.find(call, TUNING_JOB, parameters["HyperParameterTuningJobName"])[1]

    def ListHyperParameterTuningJobs(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = self.page(call, TUNING_JOB, parameters)
        summaries = [
            {
                **job,
                "Strategy": job["HyperParameterTuningJobConfig"]["Strategy"],
                "ResourceLimits": job["HyperParameterTuningJobConfig"]["ResourceLimits"],
            }
            for job in answer["HyperParameterTuningJobSummaries"]
        ]
        return {**answer, "HyperParameterTuningJobSummaries": summaries}

    def ListTrainingJobsForHyperParameterTuningJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        document = self.find(call, TUNING_JOB, parameters["HyperParameterTuningJobName"])[1]
        wanted = parameters.get("StatusEquals")
        found = [
            trial["summary"]
            for trial in document["trials"]
            if "summary" in trial and wanted in (None, trial["summary"]["TrainingJobStatus"])
        ]
        by = parameters.get("SortBy", "Name")
        if by == "FinalObjectiveMetricValue":
            found = [each for each in found if metric(each) is not None]
        descending = parameters.get("SortOrder", "Ascending") == "Descending"
        found.sort(key=lambda each: each[SORTED_BY[by]] if by in SORTED_BY else metric(each) or 0.0, reverse=descending)
        begin = int(parameters.get("NextToken", "0"))
        end = begin + parameters.get("MaxResults", 10)
        more = {"NextToken": str(end)} if end < len(found) else {}
        return {"TrainingJobSummaries": found[begin:end], **more}

    def StopHyperParameterTuningJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, TUNING_JOB, parameters["HyperParameterTuningJobName"])

        def stop(document: Document) -> Document:
            status = document["HyperParameterTuningJobStatus"]
            if status in TERMINAL:
                raise invalid(f"The request was rejected because the tuning job is in status {status}.")
            return {**document, "HyperParameterTuningJobStatus": "Stopping", "LastModifiedTime": self.now()}

        with self.store.transaction():
            document = self.store.update(key, stop) or {}
            self.tell(key, tuning_event(document))
            self.tasks.schedule(TASK, key)
        return {}


def training_request(
    definition: Mapping[str, Any], name: str, tuned: Mapping[str, str], objective: str
) -> dict[str, Any]:
    """CreateTrainingJob's parameters for one trial."""
    request = {member: definition[member] for member in words(TRAINING) if member in definition}
    resources = definition.get("HyperParameterTuningResourceConfig")
    if resources and "ResourceConfig" not in request:
        request["ResourceConfig"] = {"InstanceCount": 1, **resources}
    if "CheckpointConfig" in request:  # trials must not read one another's
        folder = f"{request['CheckpointConfig']['S3Uri'].rstrip('/')}/{name}"
        request["CheckpointConfig"] = {**request["CheckpointConfig"], "S3Uri": folder}
    static = definition.get("StaticHyperParameters", {})
    script = "sagemaker_program" in static  # whose hyperparameters are JSON
    told = f'"{objective}"' if script else objective
    request["HyperParameters"] = {**static, **tuned, OBJECTIVE_PARAMETER: told}
    request["TrainingJobName"] = name
    return request


def counters(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the trials stand, in SageMaker's two ways of counting."""
    jobs = [trial["summary"] for trial in trials if "summary" in trial]

    def count(member: str, *values: str) -> int:
        return sum(job.get(member) in values for job in jobs)

    return {
        "TrainingJobStatusCounters": {
            "Completed": count("TrainingJobStatus", "Completed"),
            "InProgress": count("TrainingJobStatus", "InProgress", "Stopping"),
            "RetryableError": 0,
            "NonRetryableError": count("TrainingJobStatus", "Failed"),
            "Stopped": count("TrainingJobStatus", "Stopped"),
        },
        "ObjectiveStatusCounters": {
            "Succeeded": count("ObjectiveStatus", "Succeeded"),
            "Pending": count("ObjectiveStatus", "Pending"),
            "Failed": count("ObjectiveStatus", "Failed"),
        },
    }


def metric(summary: Mapping[str, Any]) -> float | None:
    """The objective's value of a training job."""
    found: float | None = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    return found


def tuning_event(document: Document) -> dict[str, Any]:
    """What EventBridge is told of a tuning job."""
    arn = document["HyperParameterTuningJobArn"]
    return event(DETAIL_TYPE, "DescribeHyperParameterTuningJob", document, arn)


def _check_supported(parameters: Mapping[str, Any]) -> None:
    for path, names in SUPPORTED.items():
        refuse_unsupported(OPERATION, parameters if not path else parameters.get(path, {}), words(names), path)
    if DEFINITION not in parameters:
        raise invalid("A TrainingJobDefinition must be given.")
    resources = parameters[DEFINITION].get("HyperParameterTuningResourceConfig", {})
    path = f"{DEFINITION}.HyperParameterTuningResourceConfig"
    refuse_unsupported(OPERATION, resources, words(RESOURCES), path)
    criteria = parameters["HyperParameterTuningJobConfig"].get("TuningJobCompletionCriteria", {})
    refuse_unsupported(OPERATION, criteria, words("TargetObjectiveMetricValue"), "TuningJobCompletionCriteria")


def _checked_configuration(configuration: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The configuration with its defaults, and how many trials there will be; raises for what cannot be searched."""
    strategy = configuration["Strategy"]
    if strategy == "Hyperband":
        raise unsupported(OPERATION, "the strategy Hyperband; use Bayesian, Random or Grid")
    ranges = configuration.get("ParameterRanges", {})
    try:
        search.check(ranges)
        whole_grid = len(search.combinations(ranges)) if strategy == "Grid" else 0
    except search.BadRange as error:
        raise invalid(f"HyperParameterTuningJobConfig.ParameterRanges: {error}.") from error
    if "HyperParameterTuningJobObjective" not in configuration:
        raise invalid("A metric is required for this hyperparameter tuning job objective.")
    limits = configuration["ResourceLimits"]
    given = limits.get("MaxNumberOfTrainingJobs")
    if strategy == "Grid" and given not in (None, whole_grid):
        raise invalid(f"The Grid strategy runs {whole_grid} training jobs here; MaxNumberOfTrainingJobs says {given}.")
    if strategy != "Grid" and given is None:
        raise invalid(f"MaxNumberOfTrainingJobs must be given for the strategy {strategy}.")
    defaults = {"TrainingJobEarlyStoppingType": "Off"}
    return {**defaults, **configuration}, int(given or whole_grid)


def _check_objective(name: str, algorithm: Mapping[str, Any]) -> None:
    definitions = [definition["Name"] for definition in algorithm.get("MetricDefinitions", [])]
    if not definitions:
        raise invalid(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric"
            " definitions."
        )
    if name not in definitions:
        raise invalid(
            f"The objective metric for the hyperparameter tuning job, [{name}], isn't valid for the"
            f" [{algorithm['TrainingImage']}] algorithm. Choose a valid objective metric type."
        )
