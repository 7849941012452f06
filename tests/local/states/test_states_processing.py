"""State machines that write to S3, wait for real processing jobs and look at them, on the whole embedded AWS."""

from __future__ import annotations

import json
from typing import Any

from test_states_training import IMAGE, TRUST, ended

from tests.local.waiting import until

SCRIPTS = {
    "good": "p = '/opt/ml/processing/'\nopen(p + 'output/found', 'w').write(open(p + 'input/told/told.json').read())",
    "bad": "raise ValueError('no luck today')",
    "slow": "import time\ntime.sleep(60)",
}


def begin(aws: Any, script: str) -> str:
    """Start an execution that writes a document, processes it with the script and reads what came of it; its ARN."""
    iam, s3, sfn = (aws.client(service) for service in ("iam", "s3", "stepfunctions"))
    role = iam.create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    s3.create_bucket(Bucket="work")
    s3.put_object(Bucket="work", Key="code/run.py", Body=SCRIPTS[script])

    def given(name: str) -> dict[str, Any]:
        place = {"S3Uri": f"s3://work/{name}/", "LocalPath": f"/opt/ml/processing/input/{name}"}
        return {"InputName": name, "S3Input": {**place, "S3DataType": "S3Prefix", "S3InputMode": "File"}}

    output = {"S3Uri": "s3://work/out", "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
    entry = ["python3", "/opt/ml/processing/input/code/run.py"]
    tasks = {
        "Tell": ("aws-sdk:s3:putObject", {
            "Bucket": "work", "Key": "told/told.json", "Body": {"job.$": "$$.Execution.Name"},
        }),
        "Process": ("sagemaker:createProcessingJob.sync", {
            "ProcessingJobName.$": "States.Format('job-{}', $$.Execution.Name)",
            "RoleArn": role,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": entry},
            "ProcessingInputs": [given("code"), given("told")],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": output}]},
            "ProcessingResources": {"ClusterConfig": resources},
        }),
        "Read": ("aws-sdk:s3:getObject", {"Bucket": "work", "Key": "out/found"}),
        "Describe": ("aws-sdk:sagemaker:describeProcessingJob", {"ProcessingJobName": "job-e"}),
        "List": ("aws-sdk:sagemaker:listProcessingJobs", {"NameContains": "job", "StatusEquals": "Completed"}),
    }  # fmt: skip
    names = [*tasks, "End"]
    states: dict[str, Any] = {
        name: {
            "Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters,
            "ResultPath": f"$.{name}", "Next": names[names.index(name) + 1],
        }
        for name, (resource, parameters) in tasks.items()
    }  # fmt: skip
    definition = {"StartAt": "Tell", "States": {**states, "End": {"Type": "Succeed"}}}
    machine = sfn.create_state_machine(name="m", definition=json.dumps(definition), roleArn=role)["stateMachineArn"]
    return str(sfn.start_execution(stateMachineArn=machine, name="e")["executionArn"])


def test_a_document_is_written_processed_and_read_again(aws: Any) -> None:
    found = ended(aws, begin(aws, "good"))
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    assert output["Process"]["ProcessingJobStatus"] == "Completed"
    assert output["Process"]["Tags"]["MANAGED_BY_AWS"] == "STARTED_BY_STEP_FUNCTIONS"
    assert json.loads(output["Read"]["Body"]) == {"job": "e"}
    assert output["Describe"]["ProcessingJobArn"] == output["Process"]["ProcessingJobArn"]
    (summary,) = output["List"]["ProcessingJobSummaries"]
    assert summary["ProcessingJobName"] == "job-e"


def test_a_failed_job_gives_its_reason(aws: Any) -> None:
    found = ended(aws, begin(aws, "bad"))
    assert (found["status"], found["error"]) == ("FAILED", "States.TaskFailed")
    assert "no luck today" in json.loads(found["cause"])["FailureReason"]


def test_stopping_the_execution_stops_the_job_also_after_a_restart(aws: Any) -> None:
    execution = begin(aws, "slow")

    def status() -> str:
        jobs = aws.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"]
        return str(jobs[0]["ProcessingJobStatus"]) if jobs else ""

    until(lambda: status() == "InProgress")
    aws.restart()
    aws.client("stepfunctions").stop_execution(executionArn=execution)
    until(lambda: status() == "Stopped", 40)
