"""What happens to a tuning job after it was created: trials are chosen, trained, watched and compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.sagemaker import search
from orchestrator.local.services.sagemaker.plane import TRAINING_JOB
from orchestrator.local.services.sagemaker.training_jobs import TERMINAL as TRAINED
from orchestrator.local.services.sagemaker.training_life import GROUP
from orchestrator.local.services.sagemaker.tuning_jobs import (
    DEFINITION,
    TERMINAL,
    TuningJobs,
    counters,
    metric,
    training_request,
    tuning_event,
)
from orchestrator.local.store import Document, Key
from orchestrator.runtime.training.metrics import values_of

POLL_SECONDS = 0.3
ALL_FAILED = "All training jobs failed. Please take a look at the training jobs failures to get more details."


class TuningLife:
    """The step of tuning jobs' tasks. A trial is written down before its training job is made, so it is made once."""

    def __init__(self, plane: TuningJobs) -> None:
        self._plane = plane
        self._world = plane.world

    def step(self, key: Key) -> float | None:
        """Bring the job one step further."""
        document = self._world.store.get(key)
        if document is None or document["HyperParameterTuningJobStatus"] in TERMINAL:
            return None
        trials = [self._looked_at(key, document, trial) for trial in document["trials"]]
        document = self._write(key, trials) or document
        running = [trial for trial in trials if trial["state"] == "InProgress"]
        if self._is_to_end(document):
            for trial in running:
                self._stop(key, trial)
            if not running:
                self._conclude(key, document)
                return None
        elif len(running) < self._parallel(document) and len(trials) < document["limit"]:
            self._begin(key, document)
            return 0.0
        elif not running:
            self._conclude(key, document)
            return None
        else:
            self._stop_early(key, document, running)
        return POLL_SECONDS

    # ---- one trial ----

    def _begin(self, key: Key, document: Document) -> None:
        """Choose the next trial and write it down; the next step makes its training job."""
        configuration, trials = document["HyperParameterTuningJobConfig"], document["trials"]
        parameters = search.suggest(
            configuration["Strategy"],
            configuration["ParameterRanges"],
            trials,
            seed=str(configuration.get("RandomSeed", "/".join(key))),
            maximize=_maximizes(document),
        )
        number = len(trials) + 1
        mark = hashlib.sha256(f"{'/'.join(key)}/{number}".encode()).hexdigest()[:8]
        trial = {"name": f"{key.name}-{number:03}-{mark}", "parameters": parameters, "state": "InProgress"}
        self._write(key, [*trials, trial])

    def _looked_at(self, key: Key, document: Document, trial: Document) -> Document:
        """The trial as it is now; its training job is made if it is not there yet."""
        if trial["state"] != "InProgress":
            return trial
        job = self._world.store.get(_job_key(key, trial))
        if job is None:
            failure = self._train(key, document, trial)
            job = self._world.store.get(_job_key(key, trial))
            if job is None:
                return {**trial, "state": "Failed", "failure": failure}
        ended = job["TrainingJobStatus"] in TRAINED
        value = _objective(job, document) if ended else None
        found = {**trial, "value": value, "summary": _summary(document, trial, job, value)}
        if not ended:
            return found
        return {**found, "state": job["TrainingJobStatus"], "curve": self._curve(key, document, job)}

    def _train(self, key: Key, document: Document, trial: Document) -> str:
        """Make the trial's training job; the reason why not, if it is refused."""
        definition, objective = document[DEFINITION], _objective_name(document)
        request = training_request(definition, trial["name"], trial["parameters"], objective)
        if "Tags" in document:
            request["Tags"] = document["Tags"]
        call = Call(key.account, key.region, "", f"tuning-{trial['name']}", {})
        try:
            self._plane.CreateTrainingJob(call, request)
        except ServiceError as error:
            return error.message
        made = _job_key(key, trial)
        self._world.store.patch(made, TuningJobArn=document["HyperParameterTuningJobArn"])
        return ""

    def _stop(self, key: Key, trial: Document) -> None:
        made = _job_key(key, trial)
        job = self._world.store.get(made)
        if job and job["TrainingJobStatus"] == "InProgress":
            call = Call(key.account, key.region, "", f"tuning-{trial['name']}", {})
            self._plane.StopTrainingJob(call, {f"{TRAINING_JOB.type}Name": trial["name"]})

    # ---- all of them ----

    def _parallel(self, document: Document) -> int:
        return int(document["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"])

    def _is_to_end(self, document: Document) -> bool:
        """Whether it was stopped, its time is over, or the value that was asked for is reached."""
        configuration = document["HyperParameterTuningJobConfig"]
        longest = configuration["ResourceLimits"].get("MaxRuntimeInSeconds")
        target = configuration.get("TuningJobCompletionCriteria", {}).get("TargetObjectiveMetricValue")
        best = _best(document)
        reached = best is not None and target is not None and _better_or_equal(best, target, document)
        late = longest is not None and self._world.now() > document["CreationTime"] + longest
        return reached or late or document["HyperParameterTuningJobStatus"] == "Stopping"

    def _stop_early(self, key: Key, document: Document, running: list[Document]) -> None:
        if document["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] != "Auto":
            return
        curves = [trial["curve"] for trial in document["trials"] if trial["state"] == "Completed"]
        for trial in running:
            job = self._world.store.get(_job_key(key, trial))
            if job and search.falls_behind(self._curve(key, document, job), curves, maximize=_maximizes(document)):
                self._stop(key, trial)

    def _curve(self, key: Key, document: Document, job: Document) -> list[float]:
        """Every value of the objective that the job has printed, in order; only early stopping asks for it."""
        if document["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] != "Auto" or "stream" not in job:
            return []
        regex = next(
            definition["Regex"]
            for definition in job["AlgorithmSpecification"]["MetricDefinitions"]
            if definition["Name"] == _objective_name(document)
        )
        return list(values_of(self._messages(key, job["stream"]), regex))

    def _messages(self, key: Key, stream: str) -> Iterator[str]:
        client = self._world.client("logs", key.account, key.region)
        try:
            if not client.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=stream)["logStreams"]:
                return
        except client.exceptions.ResourceNotFoundException:  # the account's first job has printed nothing yet
            return
        token = ""
        while True:
            more: dict[str, str] = {"nextToken": token} if token else {}
            answer = client.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **more)
            yield from (event["message"] for event in answer["events"])
            if not answer["events"] or answer["nextForwardToken"] == token:
                return
            token = answer["nextForwardToken"]

    def _write(self, key: Key, trials: list[Document]) -> Document | None:
        """Store the trials and what follows from them."""

        def change(document: Document) -> Document:
            changed = {**document, "trials": trials, **counters(trials)}
            best = _best(changed)
            if best is not None:
                changed["BestTrainingJob"] = best
            return changed

        return self._world.store.update(key, change)

    def _conclude(self, key: Key, document: Document) -> None:
        now = self._plane.now()
        members: dict[str, Any] = {"HyperParameterTuningEndTime": now, "LastModifiedTime": now}
        if document["HyperParameterTuningJobStatus"] == "Stopping":
            members["HyperParameterTuningJobStatus"] = "Stopped"
        elif _best(document) is None:
            members["HyperParameterTuningJobStatus"] = "Failed"
            members["FailureReason"] = f"{ALL_FAILED} {_first_failure(document)}".strip()[:1024]
        else:
            members["HyperParameterTuningJobStatus"] = "Completed"
        with self._world.store.transaction():
            ended = self._world.store.patch(key, **members)
            if ended:
                self._plane.tell(key, tuning_event(ended))


def _job_key(key: Key, trial: Document) -> Key:
    return key._replace(type=TRAINING_JOB.type, name=trial["name"])


def _objective_name(document: Document) -> str:
    return str(document["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"])


def _maximizes(document: Document) -> bool:
    objective = document["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    return bool(objective["Type"] == "Maximize")


def _objective(job: Mapping[str, Any], document: Document) -> float | None:
    """The job's last value of the objective; a failed job has none, one that was stopped keeps its last."""
    if job["TrainingJobStatus"] == "Failed":
        return None
    values = {item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", [])}
    found: float | None = values.get(_objective_name(document))
    return found


def _summary(document: Document, trial: Document, job: Document, value: float | None) -> dict[str, Any]:
    """A training job as ListTrainingJobsForHyperParameterTuningJob shows it."""
    ended = job["TrainingJobStatus"] in TRAINED
    members = ("TrainingStartTime", "TrainingEndTime", "FailureReason")
    summary: dict[str, Any] = {
        "TrainingJobDefinitionName": document[DEFINITION].get("DefinitionName", ""),
        "TrainingJobName": trial["name"],
        "TrainingJobArn": job["TrainingJobArn"],
        "CreationTime": job["CreationTime"],
        "TrainingJobStatus": job["TrainingJobStatus"],
        "TunedHyperParameters": trial["parameters"],
        "ObjectiveStatus": "Pending" if not ended else "Failed" if value is None else "Succeeded",
        **{member: job[member] for member in members if member in job},
    }
    if not summary["TrainingJobDefinitionName"]:
        del summary["TrainingJobDefinitionName"]
    if value is not None:
        name = _objective_name(document)
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": name, "Value": value}
    return summary


def _best(document: Document) -> dict[str, Any] | None:
    """The summary of the best training job that came to its end."""
    found = [
        trial["summary"]
        for trial in document["trials"]
        if trial.get("value") is not None and trial["state"] in ("Completed", "Stopped")
    ]
    if not found:
        return None
    best: dict[str, Any] = (max if _maximizes(document) else min)(found, key=lambda each: metric(each) or 0.0)
    return best


def _better_or_equal(best: Mapping[str, Any], target: float, document: Document) -> bool:
    value = metric(best) or 0.0
    return value >= target if _maximizes(document) else value <= target


def _first_failure(document: Document) -> str:
    reasons = (trial.get("failure") or trial.get("summary", {}).get("FailureReason") for trial in document["trials"])
    return next((str(reason) for reason in reasons if reason), "No training job reported the objective metric.")
