"""Transform and tuning jobs when the server is killed without warning again and again: everything happens once."""

from __future__ import annotations

import time

import pytest
from sagemaker_rig import Workshop
from test_sagemaker_kill import Server, server  # noqa: F401  (the fixture)
from test_transform_jobs import SLOW, scripted
from test_transform_jobs import finished as transformed
from test_transform_jobs import request as transform_request
from test_tuning_jobs import BOWL
from test_tuning_jobs import finished as tuned
from test_tuning_jobs import request as tuning_request


@pytest.mark.parametrize("seconds", [0.1, 0.9])
def test_a_transform_job_ends_once_with_all_its_output(seconds: float, server: Server) -> None:  # noqa: F811
    workshop = Workshop(server)
    scripted(workshop, SLOW)
    workshop.put("in/a.csv", "1\n2\n3\n")
    workshop.put("in/b.csv", "4\n5\n")
    workshop.sagemaker.create_transform_job(**transform_request(BatchStrategy="SingleRecord"))
    for _ in range(2):
        time.sleep(seconds)
        server.kill()
        server.start()
    job = transformed(workshop)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert workshop.read("out/a.csv.out") == b"1\n2\n3\n"
    assert workshop.read("out/b.csv.out") == b"4\n5\n"
    assert workshop.keys("out") == ["out/a.csv.out", "out/b.csv.out"]


@pytest.mark.parametrize("seconds", [0.2, 1.1])
def test_a_search_makes_each_trial_once(seconds: float, server: Server) -> None:  # noqa: F811
    workshop = Workshop(server)
    text = BOWL + "\nimport time; time.sleep(0.5)\n"
    workshop.sagemaker.create_hyper_parameter_tuning_job(**tuning_request(workshop, text))
    for _ in range(2):
        time.sleep(seconds)
        server.kill()
        server.start()
    job = tuned(workshop)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TrainingJobStatusCounters"]["Completed"] == 3
    assert len(workshop.sagemaker.list_training_jobs(NameContains="tune-")["TrainingJobSummaries"]) == 3
