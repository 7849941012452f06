"""What went wrong with the old product and does not with ours; each test names the defect by its number."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from orchestrator.blueprint import load_catalog
from orchestrator.errors import ConfigInvalid
from orchestrator.flow import prepare
from orchestrator.handler import Orchestrator
from tests.corridor.cloud import Cloud
from tests.corridor.launch import ROOT
from tests.dropin.old_product import Case, cases, page

CATALOG = load_catalog()
RECORDED = {case.name: case for case in cases()}
REALTIME = RECORDED["single_account/realtime_builtin"]
STAGED = RECORDED["multi_account/realtime_builtin_per_stage"]
TRAINING = RECORDED["single_account/training_defaults"]
QUALITY = RECORDED["single_account/model_quality_regression"]
BIAS = RECORDED["single_account/model_bias_regression"]
EXPLAINED = RECORDED["single_account/model_explainability"]
MONITORS = [RECORDED["single_account/data_quality"], QUALITY, BIAS, EXPLAINED]
IMAGE = RECORDED["single_account/image_builder"]


def planned(case: Case, **changes: Any) -> Any:
    body = {key: value for key, value in {**case.body, **changes}.items() if value is not None}
    return prepare(body, case.settings, CATALOG)


def parameters(case: Case, **changes: Any) -> Any:
    return planned(case, **changes).plan.pipelines[0].stacks[0].parameters


def request(case: Case, **changes: Any) -> Any:
    return planned(case, **changes).plan.pipelines[0].stacks[0].job_input["Request"]


def refused(case: Case, **changes: Any) -> list[str]:
    """The paths of the problems."""
    with pytest.raises(ConfigInvalid) as error:
        planned(case, **changes)
    return [problem.path for problem in error.value.problems]


def post(body: Any) -> tuple[int, Any, Any]:
    """Status, headers and body, and what reached AWS must be asked of nobody."""
    cloud = Cloud()
    aws = cloud.aws()
    text = body if isinstance(body, str) else json.dumps(body)
    event = {"httpMethod": "POST", "path": "/provisionpipeline", "body": text}
    answer = Orchestrator(aws.settings, aws, CATALOG).handle(event, "request-1")
    assert answer is not None and cloud.log == []
    return answer["statusCode"], answer["headers"], json.loads(answer["body"])


@pytest.mark.parametrize(
    "change", [{"model_framework": "nonsense"}, {"model_framework_version": "0"}, {"inference_instance": 7}]
)
def test_a1_nothing_is_created_for_a_wrong_request(change: dict[str, Any]) -> None:
    assert post({**REALTIME.body, **change})[0] == 400


@pytest.mark.parametrize("case", [REALTIME, STAGED, TRAINING], ids=lambda case: case.name)
def test_a5_a7_the_same_request_is_the_same_bytes(case: Case) -> None:
    assert planned(case).bundle == planned(case).bundle


def test_a6_another_setting_is_another_job() -> None:
    names = {
        planned(TRAINING, **changes).plan.pipelines[0].stacks[0].job_input["JobName"]
        for changes in ({}, {"instance_count": 2}, {"job_name": "mine"}, {"job_name": "mine", "instance_count": 2})
    }
    assert len(names) == 4 and all(len(name) <= 63 for name in names)


def test_b8_the_approval_guards_the_stage_it_names() -> None:
    frame = json.loads(planned(STAGED).rendering.pipeline_template)
    pipelines = [each for each in frame["Resources"].values() if each["Type"] == "AWS::CodePipeline::Pipeline"]
    stages = [stage["Name"] for stage in pipelines[0]["Properties"]["Stages"]]
    assert stages == ["Source", "Deploy-dev", "Review-staging", "Deploy-staging", "Review-prod", "Deploy-prod"]


def test_c8_autopilot_uses_its_key_and_compression() -> None:
    case = RECORDED["single_account/autopilot_defaults"]
    key = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d"
    asked = request(case, kms_key_arn=key, compression_type="Gzip")
    assert (
        key in json.dumps(asked["OutputDataConfig"])
        and asked["AutoMLJobInputDataConfig"][0]["CompressionType"] == "Gzip"
    )


def test_c15_longer_locations_than_128_characters_are_taken() -> None:
    location = f"data/{'x' * 300}.csv"
    assert location in json.dumps(request(TRAINING, training_data=location))


def test_c16_long_names_are_cut_and_stay_distinct() -> None:
    names = {parameters(REALTIME, model_name=f"{'m' * 62}{end}")["EndpointName"] for end in "ab"}
    assert len(names) == 2 and all(len(name) <= 63 for name in names)


def test_c17_a_volume_without_encryption_gets_no_key() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d"
    assert parameters(REALTIME, kms_key_arn=key)["EncryptVolume"] == "true"
    assert "EncryptVolume" not in parameters(REALTIME, kms_key_arn=key, inference_instance="ml.m5d.large")


def test_d1_every_problem_is_told_with_its_path() -> None:
    status, _, answer = post(
        {**REALTIME.body, "inference_instance": [], "data_capture_location": {}, "model_framework": 7}
    )
    assert status == 400
    paths = {problem["path"].split("[")[0] for problem in answer["problems"]}
    assert {"$.inference_instance", "$.data_capture_location"} <= paths


def test_d2_values_may_be_what_they_are() -> None:
    texts = {
        "encrypt_inner_traffic": "False",
        "use_spot_instances": "True",
        "attribute_names": '["a"]',
        "instance_count": "2",
    }
    plain = {"encrypt_inner_traffic": False, "use_spot_instances": True, "attribute_names": ["a"], "instance_count": 2}
    assert request(TRAINING, **texts) == request(TRAINING, **plain)


def test_d3_a_stage_that_is_missing_is_named() -> None:
    assert refused(STAGED, inference_instance={"dev": "ml.m5.large"}) == ["$.inference_instance"]
    assert refused(REALTIME, data_capture_location={"dev": "bucket/x"}) == ["$.data_capture_location"]


@pytest.mark.parametrize(
    "location", ["s3://capture-bucket/prefix", "capture-bucket/prefix///", "s3://capture-bucket/prefix/"]
)
def test_d4_locations_may_be_written_in_every_way(location: str) -> None:
    assert parameters(REALTIME, data_capture_location=location)["DataCaptureLocation"] == "capture-bucket/prefix"


def test_d6_spaces_around_the_type_do_not_matter() -> None:
    assert planned(REALTIME, pipeline_type=" byom_realtime_builtin ").plan.project == planned(REALTIME).plan.project


def test_d7_a_package_in_the_request_is_what_is_deployed() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/group/3"
    found = parameters(REALTIME, model_package_name=arn)
    assert found["ModelPackageArn"] == arn and "ModelDataUrl" not in found


@pytest.mark.parametrize("name", ["my_model", "v1.0", "x" * 200, "", None])
def test_d8_a_name_that_cannot_be_one_is_told_at_once(name: str | None) -> None:
    assert "$.model_name" in refused(REALTIME, model_name=name)


@pytest.mark.parametrize("region", ["me-south-1", "af-south-1", "il-central-1", "us-east-1"])
def test_d10_keys_of_every_region_are_taken(region: str) -> None:
    key = f"arn:aws:kms:{region}:123456789012:key/0a1b2c3d"
    assert parameters(REALTIME, kms_key_arn=key)["KmsKeyArn"] == key


@pytest.mark.parametrize("framework, version", [("pytorch", "2.0.0"), ("tensorflow", "2.13"), ("huggingface", None)])
def test_d12_frameworks_that_never_resolved(framework: str, version: str | None) -> None:
    if version is None:  # no version is told from the others by guessing
        assert refused(REALTIME, model_framework=framework, model_framework_version="0")
        return
    found = parameters(REALTIME, model_framework=framework, model_framework_version=version)
    assert f"/{framework}-inference:" in found["ImageUri"]


def test_d13_an_image_of_another_repository_is_allowed_to_be_pulled() -> None:
    case = RECORDED["single_account/realtime_custom"]
    found = parameters(case, custom_image_uri="444444444444.dkr.ecr.eu-west-1.amazonaws.com/other:1")
    assert found["ImageRepositoryArn"] == "arn:aws:ecr:eu-west-1:444444444444:repository/other"


def test_d14_errors_are_json_and_carry_the_request() -> None:
    for body in ("{nonsense", "null", "[]"):
        status, headers, answer = post(body)
        assert (status, headers["Content-Type"], answer["requestId"]) == (400, "application/json", "request-1")


def test_e13_a_build_is_current_and_yields_a_digest() -> None:
    ready = planned(IMAGE)
    template = json.loads(ready.rendering.files["byom_custom_algorithm_image_builder.yaml"])
    project = template["Resources"]["Build"]["Properties"]
    assert project["Environment"]["Image"] == "aws/codebuild/standard:7.0"
    assert "chmod" not in project["Source"]["BuildSpec"]
    assert "ImageDigest" in ready.plan.pipelines[0].results


@pytest.mark.parametrize("key", ["custom_algorithm_docker", "ecr_repo_name", "image_tag"])
def test_d1_a_builder_without_a_key_is_told_which(key: str) -> None:
    assert refused(IMAGE, **{key: None}) == [f"$.{key}"]


def test_d8_a_tag_that_cannot_name_a_stack_is_told_at_once() -> None:
    assert refused(IMAGE, image_tag="1.0") == ["$.image_tag"]
    assert planned(IMAGE, model_name="ignored, as ever").plan.pipeline_stack == IMAGE.stack


# ---- monitors ----


def template(case: Case, **changes: Any) -> Any:
    ready = planned(case, **changes)
    return json.loads(ready.rendering.files[ready.plan.pipelines[0].template_file])["Resources"]


@pytest.mark.parametrize("case", MONITORS, ids=lambda case: case.name)
def test_a5_a_monitor_keeps_its_name_and_its_baseline(case: Case) -> None:
    first, again = parameters(case), parameters(case, monitor_max_runtime_seconds="900")
    assert (first["MonitorName"], first["BaselineName"]) == (again["MonitorName"], again["BaselineName"])
    other = parameters(case, baseline_data="baselines/other.csv")
    assert other["MonitorName"] == first["MonitorName"] and other["BaselineName"] != first["BaselineName"]


@pytest.mark.parametrize("case", MONITORS, ids=lambda case: case.name)
def test_c2_the_schedule_waits_for_the_baseline(case: Case) -> None:
    resources = template(case)
    assert resources["Schedule"]["Properties"]["State"] == "DISABLED"
    states = resources["StateMachine"]["Properties"]["Definition"]["States"]
    assert states["MakeTheBaseline"]["Resource"]["Fn::Sub"].endswith("createProcessingJob.sync")
    before = [name for name, state in states.items() if state.get("Next") == "LookAtTheSchedule"]
    assert before == ["LookAtTheJob"]


@pytest.mark.parametrize("case", MONITORS, ids=lambda case: case.name)
def test_c6_who_writes_with_the_key_may_use_it(case: Case) -> None:
    resources = template(case)
    for name in ("Monitor", "StateMachine"):
        assert {"Ref": f"{name}Policy"} in resources[f"{name}Role"]["Properties"]["ManagedPolicyArns"]
        assert "UseTheKey" in json.dumps(resources[f"{name}Policy"])


@pytest.mark.parametrize("case", MONITORS, ids=lambda case: case.name)
def test_c11_e5_any_endpoint_is_watched_and_none_is_touched(case: Case) -> None:
    found = parameters(case, endpoint_name="somebody-elses-endpoint")
    assert found["EndpointName"] == "somebody-elses-endpoint"
    text = json.dumps(template(case))
    for action in ("DescribeModel", "DeleteEndpoint", "CreateEndpoint", "MonitoringSchedule:"):
        assert f"sagemaker:{action}" not in text


@pytest.mark.parametrize("case", MONITORS, ids=lambda case: case.name)
def test_c13_violations_and_failures_are_told(case: Case) -> None:
    resources = template(case)
    assert resources["Alarm"]["Properties"]["AlarmActions"] == [{"Ref": "TopicArn"}]
    pattern = resources["FailedRule"]["Properties"]["EventPattern"]
    assert pattern["detail"]["ProcessingJobName"] == [{"prefix": {"Fn::Sub": "${MonitorName}-"}}]


def test_c16_long_endpoint_names_leave_room_for_the_names_of_jobs() -> None:
    names = {parameters(QUALITY, endpoint_name=f"{'e' * 62}{end}")["BaselineName"] for end in "ab"}
    assert len(names) == 2 and all(len(name) <= 63 - len("-0a1b2c3d") for name in names)


def test_d5_a_score_at_index_0_is_one() -> None:
    definition = planned(EXPLAINED, model_scores=0).plan.pipelines[0].stacks[0].job_input["Definition"]
    assert definition["settings"]["model_scores"] == 0


@pytest.mark.parametrize("case", [QUALITY, BIAS, EXPLAINED], ids=lambda case: case.name)
def test_d9_what_a_problem_type_may_be_is_told(case: Case) -> None:
    status, _, answer = post({**case.body, "problem_type": "Clustering"})
    assert status == 400
    assert answer["detailedMessage"].startswith("Bad request format. Unsupported problem_type in byom_")
    (problem,) = [each for each in answer["problems"] if each["path"] == "$.problem_type"]
    assert all(
        name in problem["allowed"] for name in ("Regression", "BinaryClassification", "MulticlassClassification")
    )


def test_d11_now_is_refused_with_what_does_it() -> None:
    with pytest.raises(ConfigInvalid) as error:
        planned(QUALITY, schedule_expression="NOW")
    (problem,) = error.value.problems
    assert problem.path == "$.schedule_expression" and "mlops monitor run" in problem.fix


# ---- the page ----


def test_the_page_of_the_migration_is_fresh_and_knows_every_defect() -> None:
    """The map of parameter names is generated: ``python -m tests.dropin.old_product``."""
    text = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    assert text == page()
    wanted = {
        f"{letter}{n}"
        for letter, most in zip("ABCDEF", (12, 12, 23, 21, 14, 5), strict=True)
        for n in range(1, most + 1)
    }
    told = {each for row in re.findall(r"^\| ([A-F0-9, ]+) \|", text, re.MULTILINE) for each in row.split(", ")}
    assert wanted == told


def test_every_test_the_page_names_is_there() -> None:
    text = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {test}"
