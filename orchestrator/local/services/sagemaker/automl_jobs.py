"""AutoML jobs: the operations of Autopilot's second API. What happens afterwards is in ``automl_life``.

The candidates are our own (``orchestrator.runtime.automl``), not Autopilot's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.local.service import Call
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.plane import AUTOML_JOB, invalid
from orchestrator.local.services.sagemaker.roles import check_role
from orchestrator.local.services.sagemaker.supported import refuse_unsupported, unsupported, words
from orchestrator.local.services.sagemaker.tuning_jobs import TuningJobs
from orchestrator.local.store import Document
from orchestrator.runtime.automl.candidates import METRICS

TASK = "sagemaker.automl-job"
OPERATION = "CreateAutoMLJobV2"
TERMINAL = ("Completed", "Failed", "Stopped")
TABULAR = "TabularJobConfig"
SUPPORTED = words(
    "AutoMLJobName AutoMLJobInputDataConfig OutputDataConfig AutoMLProblemTypeConfig RoleArn Tags SecurityConfig"
    " AutoMLJobObjective DataSplitConfig"
)
SUPPORTED_TABULAR = words("CompletionCriteria Mode ProblemType TargetAttributeName GenerateCandidateDefinitionsOnly")
"""The mode is kept and shown: our candidates are the same in each."""
SORTED_BY = {"Status": "CandidateStatus", "CreationTime": "CreationTime"}


class AutoMLJobs(TuningJobs):
    """CreateAutoMLJobV2 and its sisters."""

    def CreateAutoMLJobV2(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key = self.at(call, AUTOML_JOB, parameters["AutoMLJobName"])
        _check_supported(parameters)
        _check_objective(parameters)
        check_role(self.world, call, parameters["RoleArn"])
        self._check_data(call, parameters)
        with self.store.transaction():
            document = self.create(
                key,
                AUTOML_JOB,
                parameters,
                AutoMLJobStatus="InProgress",
                AutoMLJobSecondaryStatus="Starting",
                AutoMLProblemTypeConfigName="Tabular",
                candidates=[],
            )
            self.tasks.schedule(TASK, key)
        return {"AutoMLJobArn": document["AutoMLJobArn"]}

    def DescribeAutoMLJobV2(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.find(call, AUTOML_JOB, parameters["AutoMLJobName"])[1]

    def ListAutoMLJobs(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.page(call, AUTOML_JOB, parameters)

    def ListCandidatesForAutoMLJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        document = self.find(call, AUTOML_JOB, parameters["AutoMLJobName"])[1]
        found = [
            candidate["shown"]
            for candidate in document["candidates"]
            if "shown" in candidate
            and parameters.get("StatusEquals", candidate["shown"]["CandidateStatus"])
            == candidate["shown"]["CandidateStatus"]
            and parameters.get("CandidateNameEquals", candidate["name"]) == candidate["name"]
        ]
        by, descending = parameters.get("SortBy"), parameters.get("SortOrder", "Ascending") == "Descending"
        if by == "FinalObjectiveMetricValue":
            found = [each for each in found if "FinalAutoMLJobObjectiveMetric" in each]
            found.sort(key=lambda each: each["FinalAutoMLJobObjectiveMetric"]["Value"], reverse=descending)
        elif by or descending:
            found.sort(key=lambda each: each[SORTED_BY.get(str(by), "CreationTime")], reverse=descending)
        begin = int(parameters.get("NextToken", "0"))
        end = begin + parameters.get("MaxResults", 10)
        more = {"NextToken": str(end)} if end < len(found) else {}
        return {"Candidates": found[begin:end], **more}

    def StopAutoMLJob(self, call: Call, parameters: dict[str, Any]) -> dict[str, Any]:
        key, _ = self.find(call, AUTOML_JOB, parameters["AutoMLJobName"])

        def stop(document: Document) -> Document:
            status = document["AutoMLJobStatus"]
            if status in TERMINAL:
                raise invalid(f"The request was rejected because the AutoML job is in status {status}.")
            ending = {"AutoMLJobStatus": "Stopping", "AutoMLJobSecondaryStatus": "Stopping"}
            return {**document, **ending, "LastModifiedTime": self.now()}

        with self.store.transaction():
            self.store.update(key, stop)
            self.tasks.schedule(TASK, key)
        return {}

    def _check_data(self, call: Call, parameters: Mapping[str, Any]) -> None:
        s3 = self.world.client("s3", call.account, call.region, parameters["RoleArn"])
        for channel in parameters["AutoMLJobInputDataConfig"]:
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            try:
                storage.objects(s3, uri, limit=1)
            except storage.NotThere as error:
                raise invalid(f"The S3 URI {uri} holds no data. {error.detail}.") from error


def _check_supported(parameters: Mapping[str, Any]) -> None:
    refuse_unsupported(OPERATION, parameters, SUPPORTED)
    problem = parameters["AutoMLProblemTypeConfig"]
    refuse_unsupported(OPERATION, problem, [TABULAR], "AutoMLProblemTypeConfig")
    if TABULAR not in problem:
        raise invalid("AutoMLProblemTypeConfig must hold a TabularJobConfig.")
    refuse_unsupported(OPERATION, problem[TABULAR], SUPPORTED_TABULAR, TABULAR)
    if problem[TABULAR].get("GenerateCandidateDefinitionsOnly"):
        raise unsupported(OPERATION, "GenerateCandidateDefinitionsOnly: there are no notebooks here")
    kinds = [channel.get("ChannelType", "training") for channel in parameters["AutoMLJobInputDataConfig"]]
    if sorted(kinds) not in (["training"], ["training", "validation"]):
        raise invalid("There must be one training channel, and at most one validation channel.")
    for channel in parameters["AutoMLJobInputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]
        if source["S3DataType"] != "S3Prefix":
            raise unsupported(OPERATION, f"S3DataType {source['S3DataType']}; use S3Prefix")
        if channel.get("CompressionType", "None") != "None":
            raise unsupported(OPERATION, "compressed data")
        if not channel.get("ContentType", "text/csv").startswith("text/csv"):
            raise unsupported(OPERATION, f"ContentType {channel['ContentType']}; use text/csv;header=present")


def _check_objective(parameters: Mapping[str, Any]) -> None:
    """The type of the problem and the objective come together, and fit."""
    problem = parameters["AutoMLProblemTypeConfig"][TABULAR].get("ProblemType")
    objective = parameters.get("AutoMLJobObjective", {}).get("MetricName")
    if bool(problem) != bool(objective):
        raise invalid("ProblemType and AutoMLJobObjective must be given together.")
    if problem and objective not in METRICS[problem]:
        allowed = ", ".join(METRICS[problem])
        raise invalid(f"The objective {objective} does not fit {problem}; here it may be one of {allowed}.")
