"""What is refused before a state machine exists, and where the message points."""

from __future__ import annotations

import json
from typing import Any

import pytest
from states_drive import LIST, SDK, one

from orchestrator.local.services.states.definition import check
from orchestrator.local.services.states.integrations import UnknownResource, error_name, resolve, to_request, to_result

SUCCEED = {"Type": "Succeed"}
CHOICE = {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "T"}]}
TRAINING = "arn:aws:states:::sagemaker:createTrainingJob.sync"


def problems(machine: Any) -> list[str]:
    return [str(problem) for problem in check(machine if isinstance(machine, str) else json.dumps(machine))]


@pytest.mark.parametrize(
    "machine",
    [
        one(SUCCEED),
        {**one(LIST), "Comment": "c", "TimeoutSeconds": 5, "Version": "1.0", "QueryLanguage": "JSONPath"},
        one(CHOICE, T=SUCCEED),
        one({"Type": "Wait", "Seconds": 0}),
        one({"Type": "Parallel", "Branches": [{"StartAt": "X", "States": {"X": SUCCEED}}]}),
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws-cn:states:::lambda:invoke",
                "Parameters": {"FunctionName": "f", "Payload": {"a.$": "$"}},
            }
        ),
        one(
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::sns:publish",
                "Parameters": {"Message.$": "$", "TopicArn": "t"},
            }
        ),
        one({"Type": "Task", "Resource": SDK + "codepipeline:getPipelineState", "Parameters": {"Name": "p"}}),
        one({"Type": "Task", "Resource": SDK + "s3:getObject", "Parameters": {"Bucket": "b", "Key.$": "$.k"}}),
    ],
)
def test_good_definitions(machine: dict[str, Any]) -> None:
    assert problems(machine) == []


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ("{", "INVALID_JSON_DESCRIPTION"),
        ([], "Expected value of type Object"),
        ({"StartAt": "A"}, "'States' must be a non-empty object at /States"),
        ({"StartAt": "A", "States": {"B": SUCCEED}}, "MISSING_TRANSITION_TARGET: Missing 'StartAt' target: A"),
        ({**one(SUCCEED), "QueryLanguage": "JSONata"}, "'JSONata' is not supported by the embedded AWS"),
        ({**one(SUCCEED), "Magic": 1}, "Field 'Magic' is not supported by the embedded AWS at /Magic"),
        (one({"Type": "Map", "ItemProcessor": {}}), "The state type 'Map' is not supported by the embedded AWS"),
        (one({"Type": "Nonsense"}), "The state type 'Nonsense' is not supported"),
        (one({"Type": "Pass", "Assign": {}}), "Field 'Assign' is not supported by the embedded AWS in a Pass state"),
        (one({**LIST, "HeartbeatSeconds": 3}), "Field 'HeartbeatSeconds' is not supported"),
        (one({**LIST, "Arguments": {}}), "Field 'Arguments' is not supported"),
        (one({"Type": "Pass", "Next": "Gone"}), "Missing 'Next' target: Gone at /States/S/Next"),
        (one(SUCCEED, Lonely=SUCCEED), 'State "Lonely" is not reachable. at /States/Lonely'),
        ({"StartAt": "S", "States": {"S": {"Type": "Pass"}}}, "A state needs 'Next' or 'End'"),
        (one({"Type": "Pass", "Next": "T", "End": True}, T=SUCCEED), "either 'Next' or 'End'"),
        (one({"Type": "Wait"}), "A Wait state has one of"),
        (one({"Type": "Wait", "Seconds": 1, "Timestamp": "2030-01-01T00:00:00Z"}), "A Wait state has one of"),
        (one({"Type": "Wait", "Seconds": "1"}), "Expected an integer"),
        (one({"Type": "Wait", "Timestamp": "tomorrow"}), "Expected a timestamp"),
        (one({"Type": "Fail", "Error": "a", "ErrorPath": "$.e"}), "A Fail state has one of Error, ErrorPath"),
        (one({"Type": "Choice", "Choices": []}), "Expected a non-empty array"),
        (one({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True}]}), "'Next' is required"),
        (one({"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": "1", "Next": "S"}]}), "type Numeric"),
        (one({"Type": "Choice", "Choices": [{"Variable": "$.a", "Like": "1", "Next": "S"}]}), "Field 'Like'"),
        (one({"Type": "Choice", "Choices": [{"Variable": "$.a[*]", "IsNull": True, "Next": "S"}]}), "one place"),
        (one({**CHOICE, "Default": "Gone"}, T=SUCCEED), "Missing 'Default' target: Gone"),
        (one({"Type": "Pass", "InputPath": "nope"}), "The value for the field 'InputPath' must be a valid JSONPath"),
        (one({"Type": "Pass", "ResultPath": "$.a[*]"}), "must be a valid reference path"),
        (one({"Type": "Pass", "ResultPath": "$$.x"}), "must be a valid reference path"),
        (one({"Type": "Pass", "Parameters": {"a": {"b.$": "States.MathRandom(1,2)"}}}), "MathRandom is not supported"),
        (one({"Type": "Pass", "Parameters": {"a.$": "plain text"}}), "must be a JSONPath or an intrinsic function"),
        (one({"Type": "Pass", "Parameters": {"a.$": 5}}), "Expected value of type String at /States/S/Parameters/a.$"),
        (one({**LIST, "Retry": [{"ErrorEquals": []}]}), "non-empty array of error names"),
        (one({**LIST, "Retry": [{"ErrorEquals": ["A"], "BackoffRate": 0.5}]}), "greater than or equal to 1"),
        (one({**LIST, "Retry": [{"ErrorEquals": ["States.ALL", "A"]}]}), "States.ALL must appear alone"),
        (one({**LIST, "Catch": [{"ErrorEquals": ["States.ALL"]}]}), "'Next' is required"),
        (one({**LIST, "Catch": [{"ErrorEquals": ["A"], "Next": "Gone"}]}), "Missing 'Catch[0]/Next' target: Gone"),
        (one({"Type": "Task"}), "'Resource' is required"),
        (one({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:111111111111:function:f"}), "is not recognized"),
        (one({"Type": "Task", "Resource": "arn:aws:states:us-east-1:111111111111:activity:a"}), "is not recognized"),
        (one({"Type": "Task", "Resource": SDK + "sagemaker:makeCoffee"}), "there is no API action 'makeCoffee'"),
        (one({"Type": "Task", "Resource": SDK + "sagemaker:ListModels"}), "there is no API action 'ListModels'"),
        (one({"Type": "Task", "Resource": SDK + "quantum:measure"}), "The service 'quantum'"),
        (one({"Type": "Task", "Resource": SDK + "sns:publish.waitForTaskToken"}), "'.waitForTaskToken' is not"),
        (one({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken"}), "waitForTaskToken'"),
        (one({"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync:2"}), "'.sync:2' is not"),
        (one({"Type": "Task", "Resource": "arn:aws:states:::dynamodb:getItem"}), "is not recognized"),
        (one({**LIST, "Parameters": {"Wrong": 1}}), "The field 'Wrong' is not supported by Step Functions"),
        (one({**LIST, "Parameters": {"maxResults": 1}}), "The field 'maxResults' is not supported"),
        (one({"Type": "Task", "Resource": TRAINING, "Parameters": {"TrainingJobName": "x"}}), "'RoleArn' is required"),
        (one({"Type": "Parallel", "Branches": []}), "Expected a non-empty array at /States/S/Branches"),
        (one({"Type": "Parallel", "Branches": [one({"Type": "Map"})]}), "'Map' is not supported"),
        (one({"Type": "Parallel", "Branches": [one({"Type": "Pass", "Next": "S"})]}), "DUPLICATE_STATE_NAME"),
        (one({"Type": "Parallel", "Branches": [{**one(SUCCEED), "TimeoutSeconds": 4}]}), "Field 'TimeoutSeconds'"),
    ],
)  # fmt: skip
def test_refused(machine: Any, message: str) -> None:
    found = problems(machine)
    assert any(message in problem for problem in found), found


def test_everything_is_reported_at_once() -> None:
    machine = one({"Type": "Pass", "Wrong": 1, "InputPath": 4}, B={"Type": "Map"}, C={"Type": "Wait", "Seconds": -1})
    assert len(problems(machine)) >= 6


@pytest.mark.parametrize(
    ("resource", "code", "name"),
    [
        (SDK + "s3:getObject", "NoSuchKey", "S3.NoSuchKeyException"),
        (SDK + "s3:createBucket", "BucketAlreadyExists", "S3.BucketAlreadyExistsException"),
        (SDK + "s3:getObject", "NoSuchBucketPolicy", "S3.S3Exception"),
        (SDK + "sagemaker:createModel", "ResourceInUse", "SageMaker.ResourceInUseException"),
        (SDK + "sagemaker:createModel", "ValidationException", "SageMaker.SageMakerException"),
        (SDK + "iam:getRole", "NoSuchEntity", "Iam.NoSuchEntityException"),
        (SDK + "ssm:getParameter", "ParameterNotFound", "Ssm.ParameterNotFoundException"),
        (SDK + "cloudwatchlogs:createLogGroup", "LimitExceededException", "CloudWatchLogs.LimitExceededException"),
        (TRAINING, "ValidationException", "SageMaker.AmazonSageMakerException"),
        (TRAINING, "ResourceLimitExceeded", "SageMaker.ResourceLimitExceededException"),
        ("arn:aws:states:::lambda:invoke", "TooManyRequestsException", "Lambda.TooManyRequestsException"),
    ],
)  # fmt: skip
def test_error_names_are_those_of_the_java_sdk(resource: str, code: str, name: str) -> None:
    assert error_name(resolve(resource), code) == name


def test_members_change_their_case_and_blobs_are_text() -> None:
    integration = resolve(SDK + "codepipeline:getPipelineState")
    assert to_request(integration.model.input_shape, {"Name": "p"}) == {"name": "p"}
    states = {"pipelineName": "p", "stageStates": [{"stageName": "Source"}]}
    shown = to_result(integration.model.output_shape, states, milliseconds=False)
    assert shown == {"PipelineName": "p", "StageStates": [{"StageName": "Source"}]}
    invoke = resolve(SDK + "lambda:invoke").model.input_shape
    assert to_request(invoke, {"FunctionName": "f", "Payload": {"a": 1}}) == {
        "FunctionName": "f",
        "Payload": b'{"a":1}',
    }


def test_an_unknown_resource_says_so() -> None:
    with pytest.raises(UnknownResource, match="not recognized"):
        resolve("sagemaker:createTrainingJob")
