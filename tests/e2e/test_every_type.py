"""Every pipeline type, by each of its names, from a POSTed config to what it is for: in a deployment of one account,
and in one whose stage is another account.

Types are found in the catalog, and which of them a case covers is read from its body (``every_type.py``): a new type
without a case fails. What the types can do beyond that is the business of the other files of this folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.blueprint import load_catalog
from orchestrator.cli.walk import WalkFailed
from orchestrator.infra.installation import HUB_STACK
from tests.e2e import every_type
from tests.e2e.conftest import Machine
from tests.e2e.every_type import (
    BUCKET,
    DEPLOYMENTS,
    OLD_ENDPOINT,
    PREDICTED_KEY,
    ROWS_KEY,
    SOURCE_KEY,
    STAGE,
    types_in,
    types_of,
)
from tests.e2e.posted import HUB
from tests.e2e.test_monitors import monitors
from tests.e2e.watched import Rows, Watched, lines, people, table

TYPES = sorted(name for blueprint in load_catalog() for name in blueprint.types)
NUMBER = 40
ELSEWHERE = {"single": [], "multi": list(types_in({"pipelines": monitors(str)}))}
"""What others run, read from their bodies: four monitors in three accounts."""
POLL_SECONDS = 1.0


@dataclass
class Site:
    """A deployment in which all bodies have run."""

    deployment: str
    watched: Watched
    rows: Rows
    labels: Rows
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def account(self) -> str:
        """The account of the stage."""
        return DEPLOYMENTS[self.deployment]

    def stage_accounts(self) -> str:
        """The accounts besides the hub that the orchestrator was launched for."""
        (stack,) = self.watched.client("cloudformation").describe_stacks(StackName=HUB_STACK)["Stacks"]
        given = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        return str(given.get("StageAccounts", ""))

    def run(self, wave: list[every_type.Body]) -> None:
        """POST all bodies, then follow their runs, which go on side by side."""
        projects = {}
        for body in wave:
            status, answer = self.watched.bench.post(body)
            assert status == 200, (body, answer)
            projects[answer["pipeline_id"].split("/")[1].removesuffix("-codepipeline")] = body
        pipeline = self.watched.client("codepipeline")
        for project, body in projects.items():
            run = self.watched.bench.walk.wait_for_run(project)
            told = {"pipelineName": project, "pipelineExecutionId": run}
            while pipeline.get_pipeline_execution(**told)["pipelineExecution"]["status"] == "InProgress":
                time.sleep(POLL_SECONDS)
            asked = {"pipelineName": project, "filter": {"pipelineExecutionId": run}}
            actions = pipeline.list_action_executions(**asked)["actionExecutionDetails"]
            states = {f"{each['stageName']}/{each['actionName']}": each["status"] for each in actions}
            self.states |= dict.fromkeys(types_in(body), states)

    def analyse(self) -> None:
        """Ask the endpoints about people, and let the monitors look at the hour in which that was."""
        monitors_here = sum(kind.endswith("_monitor") for kind in types_of(self.deployment))
        for name in ("new-endpoint", OLD_ENDPOINT):
            self.watched.call(self.account, name, BUCKET, self.rows, self.labels, name)
        hour = self.watched.next_hour()
        with contextlib.suppress(WalkFailed):  # the test of each monitor tells what is missing
            self.results = self.watched.analysed(self.account, BUCKET, hour, monitors_here)

    def jobs(self) -> list[str]:
        """What the jobs of monitors say of themselves."""
        sagemaker = self.watched.client("sagemaker", self.account)
        jobs = sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        return [
            f"{job['ProcessingJobName']}: {job['ProcessingJobStatus']}, {job.get('FailureReason', '')}" for job in jobs
        ]

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix of the assets bucket."""
        return self.watched.bench.keys(HUB, self.watched.bench.assets, prefix)

    def answers(self, endpoint: str) -> bool:
        """Whether the endpoint answers for every row, and is mostly right."""
        asked = "\n".join(lines(self.rows)).encode()
        runtime = self.watched.client("sagemaker-runtime", self.account)
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=asked)
        return self.right(answer["Body"].read().decode().replace(",", "\n").split())

    def scored(self, folder: str) -> bool:
        """Whether predictions lie there, one for each row."""
        return self.right(self.watched.bench.read(self.account, BUCKET, f"{folder}/rows.csv.out").split())

    def right(self, told: list[str]) -> bool:
        """Whether these are predictions of a model that has learned."""
        pairs = zip(told, self.labels, strict=True)
        return bool(sum(round(float(score)) == label for score, label in pairs) > 0.6 * NUMBER)

    def image(self, repository: str, tag: str) -> bool:
        ecr = self.watched.client("ecr")
        return len(ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]) == 1

    def approved(self, group: str) -> bool:
        found = self.watched.client("sagemaker").list_model_packages(ModelPackageGroupName=group)
        return [each["ModelApprovalStatus"] for each in found["ModelPackageSummaryList"]] == ["Approved"]

    def analysed(self, monitor: str) -> bool:
        assert any(monitor in name for name in self.results), (list(self.results), self.jobs())
        return True


def models(folder: str, at_least: int) -> Callable[[Site], bool]:
    return lambda site: sum(key.endswith("model.tar.gz") for key in site.keys(folder)) >= at_least


def searched(folder: str) -> Callable[[Site], bool]:
    return lambda site: any(key.endswith("leaderboard.json") for key in site.keys(folder))


REACHED: dict[str, Callable[[Site], bool]] = {
    "realtime_inference": lambda site: site.answers("new-endpoint"),
    "byom_realtime_builtin": lambda site: site.answers(OLD_ENDPOINT),
    "byom_realtime_custom": lambda site: site.answers("own-endpoint"),
    "batch_inference": lambda site: site.scored("scored/new"),
    "byom_batch_builtin": lambda site: site.scored("scored/old"),
    "byom_batch_custom": lambda site: site.scored("scored/own"),
    "model_training": models("new/trained", 1),
    "model_training_builtin": models("old/trained", 1),
    "model_tuning": models("new/tuned", 2),
    "model_tuner_builtin": models("old/tuned", 1),
    "automl_training": searched("new/searched"),
    "model_autopilot_training": searched("old/searched"),
    "model_registration": lambda site: site.approved("types"),
    "image_build": lambda site: site.image("types/new", "1"),
    "byom_image_builder": lambda site: site.image("mlops-algorithms", "old"),
    "data_quality_monitor": lambda site: site.analysed("new-endpoint-data"),
    "byom_data_quality_monitor": lambda site: site.analysed("old-endpoint-data"),
    "model_quality_monitor": lambda site: site.analysed("new-endpoint-quality"),
    "byom_model_quality_monitor": lambda site: site.analysed("old-endpoint-model-quality"),
    "model_bias_monitor": lambda site: site.analysed("new-endpoint-bias"),
    "byom_model_bias_monitor": lambda site: site.analysed("old-endpoint-model-bias"),
    "model_explainability_monitor": lambda site: site.analysed("new-endpoint-explain"),
    "byom_model_explainability_monitor": lambda site: site.analysed("old-endpoint-model-explain"),
}
"""What is there when a type has done its work."""


def source() -> bytes:
    """The build context of an image."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(zipfile.ZipInfo("Dockerfile"), "FROM python:3.12-slim\n")
    return buffer.getvalue()


def prepare(site: Site) -> None:
    """The data, in the assets bucket and in a bucket of the stage."""
    rows, bought = people(400, 9)
    labelled = [f"{label:g},{line}" for label, line in zip(bought, lines(rows), strict=True)]
    site.watched.put(ROWS_KEY, "\n".join(labelled).encode())
    score = bought * 0.8 + 0.1
    site.watched.put(PREDICTED_KEY, table(("prediction", "score", "bought"), bought, score, bought).encode())
    site.watched.put(SOURCE_KEY, source())
    (site.watched.machine.home / "builds.json").write_text('{"engine": "none", "rehearse": ["*"]}')
    site.watched.bench.bucket(site.account, BUCKET)
    asked = "\n".join(lines(site.rows)).encode()
    site.watched.client("s3", site.account).put_object(Bucket=BUCKET, Key="asked/rows.csv", Body=asked)


@pytest.fixture(scope="module", params=list(DEPLOYMENTS))
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, patch = tmp_path_factory.mktemp(request.param), pytest.MonkeyPatch()
    patch.setitem(os.environ, "MLOPS_HOME", str(folder / "home"))
    machine = Machine(folder, {"orchestrator": HUB, STAGE: DEPLOYMENTS[request.param]})
    try:
        made = Site(request.param, Watched(machine), *people(NUMBER, 3))
        assert made.stage_accounts() == ("" if request.param == "single" else made.account)
        prepare(made)
        for wave in every_type.bodies(request.param):
            made.run(wave)
        made.analyse()
        yield made
    finally:
        machine.stop()
        patch.undo()


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_every_type_has_a_case(deployment: str) -> None:
    covered = [*types_of(deployment), *ELSEWHERE[deployment]]
    assert sorted(covered) == TYPES, "types of the catalog, and of the bodies that are run"
    assert sorted(REACHED) == TYPES, "types of the catalog, and what is there when they have done their work"


@pytest.mark.parametrize("kind", TYPES)
def test_from_a_config_to_what_it_is_for(site: Site, kind: str) -> None:
    if kind in ELSEWHERE[site.deployment]:
        pytest.skip("another file of this folder runs it in this deployment")
    assert set(site.states[kind].values()) <= {"Succeeded", "Skipped"}, site.states[kind]
    assert REACHED[kind](site)
