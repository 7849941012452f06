"""State machines and real training jobs, on the whole embedded AWS."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
from states_drive import one

from tests.local.waiting import until

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
SCRIPTS = {
    "good": "import os\nopen(os.path.join(os.environ['SM_MODEL_DIR'], 'model.txt'), 'w').write('learnt')",
    "bad": "raise ValueError('no luck today')",
    "slow": "import time\ntime.sleep(60)",
}


def begin(aws: Any, script: str) -> str:
    """Start an execution that trains with the script; its ARN."""
    iam, s3, sfn = (aws.client(service) for service in ("iam", "s3", "stepfunctions"))
    role = iam.create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    s3.create_bucket(Bucket="training")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("train.py")
        member.size = len(SCRIPTS[script])
        archive.addfile(member, io.BytesIO(SCRIPTS[script].encode()))
    s3.put_object(Bucket="training", Key="code.tar.gz", Body=buffer.getvalue())
    train = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": {
            "TrainingJobName.$": "States.Format('job-{}', $$.Execution.Name)",
            "RoleArn": role,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "HyperParameters": {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": '"s3://training/code.tar.gz"',
            },
            "OutputDataConfig": {"S3OutputPath": "s3://training/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }
    machine = sfn.create_state_machine(name="m", definition=json.dumps(one(train)), roleArn=role)["stateMachineArn"]
    return str(sfn.start_execution(stateMachineArn=machine, name="e")["executionArn"])


def ended(aws: Any, execution: str) -> dict[str, Any]:
    def look() -> Any:
        found = aws.client("stepfunctions").describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    found: dict[str, Any] = until(look, 40)
    return found


def test_a_trained_model_is_the_output(aws: Any) -> None:
    found = ended(aws, begin(aws, "good"))
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    assert output["ModelArtifacts"]["S3ModelArtifacts"] == "s3://training/out/job-e/output/model.tar.gz"
    aws.client("s3").head_object(Bucket="training", Key="out/job-e/output/model.tar.gz")


def test_a_failed_script_gives_its_reason(aws: Any) -> None:
    found = ended(aws, begin(aws, "bad"))
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
    assert "no luck today" in json.loads(found["cause"])["FailureReason"]


@pytest.mark.parametrize("restart", [False, True])
def test_stopping_stops_the_job(aws: Any, restart: bool) -> None:
    execution = begin(aws, "slow")

    def status() -> str:
        jobs = aws.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
        return str(jobs[0]["TrainingJobStatus"]) if jobs else ""

    until(lambda: status() == "InProgress")
    if restart:
        aws.restart()
    aws.client("stepfunctions").stop_execution(executionArn=execution)
    until(lambda: status() == "Stopped", 40)
