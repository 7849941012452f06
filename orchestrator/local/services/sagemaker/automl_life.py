"""What happens to an AutoML job after it was created: the data is looked at, candidates train, the best is chosen."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.automl_jobs import TABULAR, TERMINAL, AutoMLJobs
from orchestrator.local.services.sagemaker.plane import TRAINING_JOB
from orchestrator.local.services.sagemaker.training_jobs import TERMINAL as TRAINED
from orchestrator.local.store import Document, Key
from orchestrator.runtime.automl import program
from orchestrator.runtime.automl.candidates import CANDIDATES, IMAGES, METRICS, Candidate, problem_of

POLL_SECONDS = 0.3
AT_A_TIME = 2
LONGEST_CANDIDATE = 86400
REGISTRY = "683313688378"
INSTANCE = "ml.m5.large"
SERVING = {
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
    "SAGEMAKER_PROGRAM": program.SERVED,
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
}


class AutoMLLife:
    """The step of AutoML jobs' tasks. A candidate is written down before its training job is made."""

    def __init__(self, plane: AutoMLJobs) -> None:
        self._plane = plane
        self._world = plane.world

    def step(self, key: Key) -> float | None:
        """Bring the job one step further."""
        document = self._world.store.get(key)
        if document is None or document["AutoMLJobStatus"] in TERMINAL:
            return None
        stopping = document["AutoMLJobStatus"] == "Stopping"
        if "problem" not in document and not stopping:
            return self._analyze(key, document)
        candidates = [self._looked_at(key, document, candidate) for candidate in document["candidates"]]
        self._world.store.patch(key, candidates=candidates)
        running = [candidate for candidate in candidates if candidate["state"] == "InProgress"]
        if stopping or self._late(document):
            for candidate in running:
                self._stop(key, candidate)
        elif len(running) < AT_A_TIME and len(candidates) < _count(document):
            chosen = CANDIDATES[len(candidates)]
            name = f"{key.name}-{len(candidates) + 1:02}-{chosen.name}"
            self._world.store.patch(key, candidates=[*candidates, {"name": name, "state": "InProgress"}])
            return 0.0
        if running:
            return POLL_SECONDS
        self._conclude(key, {**document, "candidates": candidates})
        return None

    # ---- the data ----

    def _analyze(self, key: Key, document: Document) -> float | None:
        """Find out what the problem is, and put the program of the candidates where their jobs find it."""
        tabular = document["AutoMLProblemTypeConfig"][TABULAR]
        try:
            values = self._target(key, document, tabular["TargetAttributeName"])
            self._store(key, document, "automl/source.tar.gz", _source())
        except (storage.NotThere, _BadData) as error:
            self._end(key, "Failed", "Failed", FailureReason=f"ClientError: {error}"[:1024])
            return None
        problem = tabular.get("ProblemType") or problem_of(values)
        objective = document.get("AutoMLJobObjective", {}).get("MetricName") or next(iter(METRICS[problem]))
        completion = {"CompletionCriteria": tabular["CompletionCriteria"]} if "CompletionCriteria" in tabular else {}
        self._world.store.patch(
            key,
            problem=problem,
            objective=objective,
            AutoMLJobSecondaryStatus="TrainingModels",
            LastModifiedTime=self._plane.now(),
            ResolvedAttributes={
                "AutoMLJobObjective": {"MetricName": objective},
                "AutoMLProblemTypeResolvedAttributes": {"TabularResolvedAttributes": {"ProblemType": problem}},
                **completion,
            },
        )
        return 0.0

    def _target(self, key: Key, document: Document, name: str) -> list[str]:
        """The target's values; raises _BadData when there is no such column, or nothing to learn."""
        s3 = self._s3(key, document)
        with tempfile.TemporaryDirectory() as folder:
            storage.fetch_prefix(s3, _channels(document)["training"], Path(folder) / "data")
            try:
                header, rows = program.read(Path(folder) / "data")
            except (SystemExit, ValueError, csv.Error) as error:
                raise _BadData(f"The training data cannot be read: {error}.") from error
        if name not in header:
            raise _BadData(f"The training data has no column {name}; it has {', '.join(header)}.")
        values = [row[header.index(name)] for row in rows if row[header.index(name)] != ""]
        if len(set(values)) < 2:
            raise _BadData(f"The column {name} has fewer than two different values.")
        return values

    # ---- one candidate ----

    def _looked_at(self, key: Key, document: Document, candidate: Document) -> Document:
        """The candidate as it is now; its training job is made if it is not there yet."""
        if candidate["state"] != "InProgress":
            return candidate
        job = self._world.store.get(_job_key(key, candidate))
        if job is None:
            failure = self._train(key, document, candidate)
            job = self._world.store.get(_job_key(key, candidate))
            if job is None:
                return {**candidate, "state": "Failed", "failure": failure}
        ended = job["TrainingJobStatus"] in TRAINED
        state = job["TrainingJobStatus"] if ended else "InProgress"
        return {**candidate, "state": state, "shown": _shown(document, candidate["name"], job)}

    def _train(self, key: Key, document: Document, candidate: Document) -> str:
        """Make the candidate's training job; the reason why not, if it is refused."""
        call = Call(key.account, key.region, "", f"automl-{candidate['name']}", {})
        try:
            self._plane.CreateTrainingJob(call, _request(key, document, candidate["name"]))
        except ServiceError as error:
            return error.message
        self._world.store.patch(_job_key(key, candidate), AutoMLJobArn=document["AutoMLJobArn"])
        return ""

    def _stop(self, key: Key, candidate: Document) -> None:
        job = self._world.store.get(_job_key(key, candidate))
        if job and job["TrainingJobStatus"] == "InProgress":
            call = Call(key.account, key.region, "", f"automl-{candidate['name']}", {})
            self._plane.StopTrainingJob(call, {"TrainingJobName": candidate["name"]})

    # ---- the end ----

    def _late(self, document: Document) -> bool:
        longest = _criteria(document).get("MaxAutoMLJobRuntimeInSeconds")
        return longest is not None and self._world.now() > document["CreationTime"] + longest

    def _conclude(self, key: Key, document: Document) -> None:
        board = leaderboard(document)
        if document["AutoMLJobStatus"] == "Stopping":
            best = {"BestCandidate": board[0]} if board else {}
            self._end(key, "Stopped", "Stopped", **best)
            return
        if not board:
            self._end(key, "Failed", "Failed", FailureReason=_first_failure(document))
            return
        try:
            self._store(key, document, "automl/leaderboard.json", _written(board))
        except storage.NotThere as error:
            self._end(key, "Failed", "Failed", FailureReason=f"ClientError: Output upload failed: {error}"[:1024])
            return
        secondary = "MaxAutoMLJobRuntimeReached" if self._late(document) else "Completed"
        self._end(key, "Completed", secondary, BestCandidate=board[0])

    def _end(self, key: Key, status: str, secondary: str, **members: Any) -> None:
        now = self._plane.now()
        times = {"EndTime": now, "LastModifiedTime": now}
        self._world.store.patch(key, AutoMLJobStatus=status, AutoMLJobSecondaryStatus=secondary, **times, **members)

    def _store(self, key: Key, document: Document, name: str, data: bytes) -> None:
        kms = document["OutputDataConfig"].get("KmsKeyId", "")
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            storage.store(self._s3(key, document), Path(file.name), f"{_output(key, document)}/{name}", kms)

    def _s3(self, key: Key, document: Document) -> Any:
        return self._world.client("s3", key.account, key.region, document["RoleArn"])


class _BadData(Exception):
    """The data cannot be learnt from."""


def leaderboard(document: Document) -> list[dict[str, Any]]:
    """The candidates that were judged, the best first."""
    found = [
        candidate["shown"]
        for candidate in document["candidates"]
        if candidate["state"] == "Completed" and "FinalAutoMLJobObjectiveMetric" in candidate.get("shown", {})
    ]
    best_is_high = METRICS[document["problem"]][document["objective"]] == "Maximize" if found else True
    return sorted(found, key=lambda each: each["FinalAutoMLJobObjectiveMetric"]["Value"], reverse=best_is_high)


def _job_key(key: Key, candidate: Document) -> Key:
    return key._replace(type=TRAINING_JOB.type, name=candidate["name"])


def _output(key: Key, document: Document) -> str:
    return f"{document['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{key.name}"


def _channels(document: Document) -> dict[str, str]:
    return {
        channel.get("ChannelType", "training"): channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in document["AutoMLJobInputDataConfig"]
    }


def _criteria(document: Document) -> dict[str, Any]:
    return dict(document["AutoMLProblemTypeConfig"][TABULAR].get("CompletionCriteria", {}))


def _count(document: Document) -> int:
    return min(int(_criteria(document).get("MaxCandidates", len(CANDIDATES))), len(CANDIDATES))


def _chosen(name: str) -> Candidate:
    return next(each for each in sorted(CANDIDATES, key=lambda c: -len(c.name)) if name.endswith(f"-{each.name}"))


def _request(key: Key, document: Document, name: str) -> dict[str, Any]:
    """CreateTrainingJob's parameters for one candidate."""
    candidate, output = _chosen(name), _output(key, document)
    tabular, channels = document["AutoMLProblemTypeConfig"][TABULAR], _channels(document)
    security, kms = document.get("SecurityConfig", {}), document["OutputDataConfig"].get("KmsKeyId")
    hyperparameters = {
        "estimator": candidate.estimator,
        "parameters": json.dumps(json.dumps(dict(candidate.parameters))),  # a text, which the toolkit hands on as it is
        "problem": document["problem"],
        "target": json.dumps(tabular["TargetAttributeName"]),
        "validation_fraction": str(document.get("DataSplitConfig", {}).get("ValidationFraction", 0.2)),
        "sagemaker_program": "program.py",
        "sagemaker_submit_directory": f"{output}/automl/source.tar.gz",
    }
    return {
        "TrainingJobName": name,
        "RoleArn": document["RoleArn"],
        "AlgorithmSpecification": {
            "TrainingImage": _image(key, candidate),
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": f"validation:{metric}", "Regex": rf"validation-{metric}=([-+0-9.eE]+)"}
                for metric in METRICS[document["problem"]]
            ],
        },
        "HyperParameters": hyperparameters,
        "InputDataConfig": [_channel("train" if kind == "training" else kind, uri) for kind, uri in channels.items()],
        "OutputDataConfig": {"S3OutputPath": f"{output}/candidates", **({"KmsKeyId": kms} if kms else {})},
        "ResourceConfig": {"InstanceType": INSTANCE, "InstanceCount": 1, "VolumeSizeInGB": 50},
        "StoppingCondition": {
            "MaxRuntimeInSeconds": _criteria(document).get("MaxRuntimePerTrainingJobInSeconds", LONGEST_CANDIDATE)
        },
        "EnableInterContainerTrafficEncryption": security.get("EnableInterContainerTrafficEncryption", False),
    }


def _channel(name: str, uri: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "ContentType": "text/csv",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }


def _image(key: Key, candidate: Candidate) -> str:
    return f"{REGISTRY}.dkr.ecr.{key.region}.amazonaws.com/{IMAGES[candidate.framework]}"


def _shown(document: Document, name: str, job: Document) -> dict[str, Any]:
    """A candidate as the API shows it."""
    status = job["TrainingJobStatus"]
    ended = status in TRAINED
    metrics = {item["MetricName"].partition(":")[2]: item["Value"] for item in job.get("FinalMetricDataList", [])}
    value = metrics.get(document["objective"]) if status == "Completed" else None
    shown: dict[str, Any] = {
        "CandidateName": name,
        "CandidateStatus": status,
        "ObjectiveStatus": "Pending" if not ended else "Failed" if value is None else "Succeeded",
        "CandidateSteps": [
            {
                "CandidateStepType": "AWS::SageMaker::TrainingJob",
                "CandidateStepArn": job["TrainingJobArn"],
                "CandidateStepName": name,
            }
        ],
        "CreationTime": job["CreationTime"],
        "LastModifiedTime": job["LastModifiedTime"],
        **({"EndTime": job["TrainingEndTime"]} if "TrainingEndTime" in job else {}),
        **({"FailureReason": job["FailureReason"]} if "FailureReason" in job else {}),
    }
    if value is None:
        return shown
    way = METRICS[document["problem"]][document["objective"]]
    shown["FinalAutoMLJobObjectiveMetric"] = {"Type": way, "MetricName": document["objective"], "Value": value}
    shown["CandidateProperties"] = {
        "CandidateMetrics": [
            {"MetricName": metric, "StandardMetricName": metric, "Value": number, "Set": "Validation"}
            for metric, number in metrics.items()
        ]
    }
    image, data = job["AlgorithmSpecification"]["TrainingImage"], job["ModelArtifacts"]["S3ModelArtifacts"]
    shown["InferenceContainers"] = [{"Image": image, "ModelDataUrl": data, "Environment": SERVING}]
    return shown


def _first_failure(document: Mapping[str, Any]) -> str:
    reasons = (
        candidate.get("failure") or candidate.get("shown", {}).get("FailureReason")
        for candidate in document["candidates"]
    )
    reason = next((str(each) for each in reasons if each), "no candidate was judged in time")
    return f"No candidate could be trained: {reason}"[:1024]


def _source() -> bytes:
    """The archive of the candidates' program."""
    data = Path(program.__file__).read_bytes()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        member = tarfile.TarInfo("program.py")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return target.getvalue()


def _written(board: list[dict[str, Any]]) -> bytes:
    """The leaderboard as people and programs read it."""
    rows = [
        {
            "rank": rank,
            "candidate": each["CandidateName"],
            "objective": each["FinalAutoMLJobObjectiveMetric"],
            "metrics": {m["MetricName"]: m["Value"] for m in each["CandidateProperties"]["CandidateMetrics"]},
            "model": each["InferenceContainers"][0]["ModelDataUrl"],
        }
        for rank, each in enumerate(board, 1)
    ]
    return json.dumps({"candidates_of": "the embedded AWS, not Autopilot", "leaderboard": rows}, indent=1).encode()
