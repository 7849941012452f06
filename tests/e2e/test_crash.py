"""kill -9 of the embedded AWS at any moment: after a restart the run goes on, nothing is lost or done twice."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError

from orchestrator.cli import embedded
from orchestrator.cli.walk import Walk
from orchestrator.errors import AwsFailed
from tests.e2e.conftest import Machine

KILLS = 25
LONGEST_LIFE_SECONDS = 1.5
MOMENTS = (
    "training/Run-training",
    "Deploy-dev/Execute-endpoint",
    "Review-staging/Approve-staging",
    "Deploy-prod/Execute-endpoint",
)
PATIENCE_SECONDS = 300


class Crashing:
    """Kills the machine's server again and again at random moments while a run goes on."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine = machine
        self.random = random.Random(seed)  # a failure can be repeated with the same moments
        self.kills = 0

    def once(self) -> None:
        """Let it live for a random while, kill it, start it again."""
        time.sleep(self.random.uniform(0.05, LONGEST_LIFE_SECONDS))
        self.machine.kill()
        self.kills += 1
        self.machine.restart()


def provisioned(machine: Machine, seed: int) -> tuple[Walk, str]:
    """An example whose commit has been made; each call is a project of its own."""
    walk = machine.walk("breast-cancer")
    walk.write_data(machine.outputs["AssetsBucket"])
    repository: Path = walk.repository()
    config = repository / "mlops-config.json"
    config.write_text(config.read_text().replace('"model_name": "breast-cancer"', f'"model_name": "crash-{seed}"'))
    renamed = repository.rename(repository.with_name(f"crash-{seed}"))
    embedded.link_repository(machine.running, renamed)
    walk.commit(renamed, "first")
    return walk, f"mlops-pipeline-crash-{seed}-workload"


def drive(walk: Walk, project: str, finished: threading.Event) -> None:
    """Approve whatever waits until the run has succeeded, whatever happens to the server meanwhile."""
    from orchestrator.cli.walk import WalkFailed

    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            run = walk.wait_for_run(project)
            for event in walk.follow(project, run):
                if event.approval:
                    walk._seen.clear()
                    walk.approve(project, event.approval, "approved by a test")
            finished.set()
            return
        except (BotoCoreError, AwsFailed, WalkFailed, walk.client("codepipeline").exceptions.ClientError):
            time.sleep(0.2)  # the server is down, or the approval had gone through before the answer came


def test_runs_survive_kills_at_random_moments(machine: Machine) -> None:
    crashing, seed = Crashing(machine, seed=7), 0
    while crashing.kills < KILLS:
        seed += 1
        walk, project = provisioned(machine, seed)
        finished = threading.Event()
        driver = threading.Thread(target=drive, args=(walk, project, finished), daemon=True)
        driver.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not finished.is_set() and crashing.kills < KILLS and time.monotonic() < deadline:
            crashing.once()
        driver.join(PATIENCE_SECONDS)
        assert finished.is_set(), f"run {seed} did not finish"
        assert_done_once(walk, project, f"crash-{seed}")


def test_a_run_survives_a_kill_in_each_phase(machine: Machine) -> None:
    walk, project = provisioned(machine, 0)
    run, killed = walk.wait_for_run(project), set[str]()
    while True:
        for event in walk.follow(project, run):
            moment = f"{event.stage}/{event.action}"
            if moment in MOMENTS and event.status == "InProgress" and moment not in killed:
                killed.add(moment)
                machine.kill()
                machine.restart()
                break  # the approval is answered by what is seen after the restart
            if event.approval:
                walk.approve(project, event.approval, "approved by a test")
        else:
            break
        walk._seen.clear()
    assert killed == set(MOMENTS)
    assert_done_once(walk, project, "crash-0")


def assert_done_once(walk: Walk, project: str, model: str) -> None:
    """The run succeeded, with exactly one training job, and one endpoint a stage that answers."""
    execution = walk.client("codepipeline").list_pipeline_executions(pipelineName=project)["pipelineExecutionSummaries"]
    assert [run["status"] for run in execution] == ["Succeeded"]
    jobs = walk.client("sagemaker").list_training_jobs(NameContains=model)["TrainingJobSummaries"]
    assert [job["TrainingJobStatus"] for job in jobs] == ["Completed"]
    for stage in walk.config["stages"]:
        endpoints = walk.client("sagemaker", stage["account"]).list_endpoints(NameContains=model)["Endpoints"]
        assert [endpoint["EndpointStatus"] for endpoint in endpoints] == ["InService"]
        answers = walk.endpoint_predictions(stage["account"], endpoints[0]["EndpointName"])
        assert walk.accuracy(answers) > 0.9
