"""The API on the embedded AWS, reached through API Gateway: every route, and requests that come at the same moment."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.corridor.test_on_embedded_aws import Installed, eventually

TRAINING = {
    "pipeline_type": "model_training_builtin",
    "model_framework": "xgboost",
    "model_framework_version": "1.7-1",
    "training_data": "data/none.csv",
    "job_output_location": "models/out",
    "algo_hyperparamaters": {"num_round": 2, "objective": "binary:logistic"},
    "use_spot_instances": "False",
}


def ask(installed: Installed, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request to the API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(installed.outputs["ApiUrl"] + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def stacks(installed: Installed) -> list[str]:
    """The CodePipeline stacks there are."""
    found = installed.client("cloudformation").get_paginator("describe_stacks").paginate()
    names = [stack["StackName"] for page in found for stack in page["Stacks"]]
    return [name for name in names if name.endswith("-codepipeline")]


def at_once(installed: Installed, bodies: list[Any]) -> list[tuple[int, Any]]:
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: ask(installed, "POST", "provisionpipeline", body), bodies))


def test_a_project_is_planned_provisioned_watched_and_removed(installed: Installed) -> None:
    body = {**TRAINING, "model_name": "walk"}
    project = "mlops-pipeline-walk-modeltraining"
    assert ask(installed, "GET", "health")[1]["status"] == "ok"
    assert ask(installed, "GET", "schema")[1]["title"] == "mlops-config.json"
    status, plan = ask(installed, "POST", "plan", body)
    assert (status, plan["outcome"], plan["project"]) == (200, "created", project)
    assert stacks(installed) == []  # a dry run
    status, provisioned = ask(installed, "POST", "provisionpipeline", body)
    assert status == 200 and provisioned["project"] == project

    failed = eventually(
        lambda: (it := ask(installed, "GET", f"pipelines/{project}"))[1].get("state") == "failed" and it
    )
    assert failed[0] == 200 and failed[1]["failure"]["reason"]
    listed = ask(installed, "GET", "pipelines")[1]["pipelines"]
    assert [(one["project"], one["state"]) for one in listed] == [(project, "failed")]
    assert ask(installed, "POST", "plan", body)[1]["outcome"] == "unchanged"

    assert ask(installed, "POST", f"pipelines/{project}/approve", {})[0] == 409  # nothing waits
    assert ask(installed, "POST", f"pipelines/{project}/reject", {"reason": "no"})[0] == 409
    status, retried = ask(installed, "POST", f"pipelines/{project}/retry")
    assert status == 202 and retried["runs"] == [failed[1]["run"]["id"]]
    eventually(lambda: ask(installed, "GET", f"pipelines/{project}")[1]["state"] == "failed")
    assert ask(installed, "POST", f"pipelines/{project}/stop", {})[0] == 409  # no run goes on
    status, started = ask(installed, "POST", f"pipelines/{project}/start")
    assert status == 202 and started["runs"] != retried["runs"]

    def removed() -> Any:
        status, answer = ask(installed, "DELETE", f"pipelines/{project}")
        return answer if status == 200 else None

    assert eventually(removed)["state"] == "deleted"
    assert ask(installed, "DELETE", f"pipelines/{project}")[0] == 404
    assert ask(installed, "GET", f"pipelines/{project}")[0] == 404
    assert stacks(installed) == []


def test_the_same_request_twice_at_the_same_moment_provisions_one_pipeline(installed: Installed) -> None:
    """Defect A11: whoever came last won, and the pipeline ran a mixture."""
    body = {**TRAINING, "model_name": "twin"}
    answers = at_once(installed, [body, body])
    assert [status for status, _ in answers] == [200, 200]
    assert len({answer["pipeline_id"] for _, answer in answers}) == 1
    assert sorted(answer["outcome"] for _, answer in answers) == ["created", "unchanged"]
    assert stacks(installed).count("mlops-pipeline-twin-modeltraining-codepipeline") == 1
    bucket, key = (
        installed.outputs["AssetsBucket"],
        "mlops_provisioned_pipelines/mlops-pipeline-twin-modeltraining/template.zip",
    )
    versions = installed.client("s3").list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    assert len(versions) == 1


def test_ten_models_at_once_do_not_disturb_each_other(installed: Installed) -> None:
    names = [f"many-{number}" for number in range(10)]
    answers = at_once(installed, [{**TRAINING, "model_name": name} for name in names])
    assert [(status, answer.get("outcome")) for status, answer in answers] == [(200, "created")] * 10
    projects = [f"mlops-pipeline-{name}-modeltraining" for name in names]
    assert [answer["project"] for _, answer in answers] == projects
    assert {f"{project}-codepipeline" for project in projects} <= set(stacks(installed))
    s3, bucket = installed.client("s3"), installed.outputs["AssetsBucket"]
    for project, (_, answer) in zip(projects, answers, strict=True):
        held = s3.head_object(Bucket=bucket, Key=f"mlops_provisioned_pipelines/{project}/template.zip")
        assert held["Metadata"]["bundle-digest"] == answer["bundle_digest"]


def test_a_model_card_lives_through_the_api(installed: Installed) -> None:
    card = {"name": "churn", "model_overview": {"model_description": "Who leaves"}}

    def do(operation: str, **members: Any) -> tuple[int, Any]:
        return ask(installed, "POST", "provisionpipeline", {"pipeline_type": operation, **members})

    status, made = do("create_model_card", **card)
    assert status == 200 and made["message"]["ModelCardStatus"] == "Draft"
    assert do("create_model_card", **card)[0] == 400  # the name is taken
    updated = do("update_model_card", name="churn", status="Approved", intended_uses={"risk_rating": "Low"})[1]
    assert (updated["message"]["ModelCardVersion"], updated["message"]["ModelCardStatus"]) == (2, "Approved")
    content = json.loads(updated["message"]["Content"])
    assert content["model_overview"]["model_description"] == "Who leaves"
    status, exported = do("export_model_cards", name="churn")
    assert status == 200 and exported["export_job_status"] == "Completed"
    bucket, _, key = exported["export_artifact"].removeprefix("s3://").partition("/")
    assert bucket == installed.outputs["AssetsBucket"]
    assert installed.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(5) == b"%PDF-"
    assert [one["ModelCardName"] for one in do("list_model_cards")[1]["message"]["ModelCardSummaries"]] == ["churn"]
    assert do("delete_model_card", name="churn")[1]["message"] == "Model card with the name: churn has been deleted"
    assert do("describe_model_card", name="churn")[0] == 400
