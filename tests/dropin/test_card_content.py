"""What a model card finds out by itself: models, the jobs behind them, and the metrics of evaluation jobs."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from orchestrator.card_content import content_of
from orchestrator.card_metrics import groups_of
from orchestrator.errors import BadRequest, Conflict
from tests.corridor.cloud import HUB, NOW, REGION, Cloud

MODEL = f"arn:aws:sagemaker:{REGION}:{HUB}:model/churn"
JOB = f"arn:aws:sagemaker:{REGION}:{HUB}:training-job/churn-1"
DATA = "s3://assets/out/model.tar.gz"


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud()
    container = {"Image": "img", "ModelDataUrl": DATA}
    made.answers |= {
        "sagemaker.describe_model": {"ModelArn": MODEL, "PrimaryContainer": container},
        "sagemaker.search": {"Results": []},
        "sagemaker.describe_training_job": {
            "TrainingJobArn": JOB,
            "AlgorithmSpecification": {"TrainingImage": "img", "TrainingInputMode": "File"},
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://assets/d"}}}],
            "FinalMetricDataList": [{"MetricName": "auc", "Value": 0.9, "Timestamp": NOW}],
            "HyperParameters": {"eta": "0.1"},
        },
    }
    return made


def test_a_named_model_tells_its_archives_and_images(cloud: Cloud) -> None:
    body = {"name": "card", "model_overview": {"model_name": "churn", "model_owner": "o"}}
    assert content_of(body, cloud.aws())["model_overview"] == {
        "model_id": MODEL,
        "model_name": "churn",
        "model_artifact": [DATA],
        "inference_environment": {"container_image": ["img"]},
        "model_owner": "o",
    }


def test_a_model_has_one_card_and_may_keep_it(cloud: Cloud) -> None:
    cloud.answers["sagemaker.search"] = {"Results": [{"ModelCard": {"ModelCardName": "first"}}]}
    body = {"name": "card", "model_overview": {"model_name": "churn"}}
    with pytest.raises(Conflict, match="first"):
        content_of(body, cloud.aws())
    assert content_of({**body, "name": "first"}, cloud.aws())["model_overview"]["model_id"] == MODEL


def test_the_job_behind_a_model_is_found_even_when_the_model_has_a_card(cloud: Cloud) -> None:
    """Defect D17: the old product refused it once a card existed, and for models of packages."""

    def search(account: str, Resource: str, **_: Any) -> Any:
        assert Resource == "TrainingJob"
        return {"Results": [{"TrainingJob": {"TrainingJobName": "churn-1"}}]}

    cloud.answers["sagemaker.search"] = search
    package = {"ModelPackageName": "arn:aws:sagemaker:us-east-1:111111111111:model-package/g/1"}
    cloud.answers["sagemaker.describe_model"] = {"ModelArn": MODEL, "Containers": [package]}
    inside = {"InferenceSpecification": {"Containers": [{"Image": "img", "ModelDataUrl": DATA}]}}
    cloud.answers["sagemaker.describe_model_package"] = inside
    details = content_of({"name": "card", "training_details": {"model_name": "churn"}}, cloud.aws())
    assert details["training_details"]["training_job_details"] == {
        "training_arn": JOB,
        "training_datasets": ["s3://assets/d"],
        "training_environment": {"container_image": ["img"]},
        "training_metrics": [{"name": "auc", "value": 0.9}],
        "user_provided_training_metrics": [],
        "hyper_parameters": [{"name": "eta", "value": "0.1"}],
        "user_provided_hyper_parameters": [],
    }


def test_a_model_nobody_trained_here_is_told(cloud: Cloud) -> None:
    with pytest.raises(BadRequest, match="No training job"):
        content_of({"name": "card", "training_details": {"model_name": "churn"}}, cloud.aws())


def test_a_metric_file_becomes_groups(cloud: Cloud) -> None:
    report = {"regression_metrics": {"mae": {"value": 0.3, "standard_deviation": 0.1}}}
    cloud.objects["b", "k.json"] = {"Body": json.dumps(report).encode(), "ETag": '"1"'}
    each = {"name": "e", "metric_file_s3_url": "s3://b/k.json", "metric_type": "regression"}
    evaluation = content_of({"name": "card", "evaluation_details": [each]}, cloud.aws())["evaluation_details"][0]
    assert evaluation["metric_groups"] == [
        {
            "name": "regression_metrics",
            "metric_data": [
                {"name": "mae", "type": "number", "value": 0.3},
                {"name": "mae - standard_deviation", "type": "number", "value": 0.1},
            ],
        }
    ]
    cloud.answers["s3.get_object"] = {"Body": io.BytesIO(b"{nonsense")}
    with pytest.raises(BadRequest, match="not JSON"):
        content_of({"name": "card", "evaluation_details": [each]}, cloud.aws())


@pytest.mark.parametrize(
    "kind, document, name, types",
    [
        (
            "binary_classification",
            {
                "binary_classification_metrics": {
                    "confusion_matrix": {"0": {"0": 5, "1": 1}, "1": {"0": 2, "1": 7}},
                    "receiver_operating_characteristic_curve": {
                        "false_positive_rates": [0, 1],
                        "true_positive_rates": [0, 1],
                    },
                    "auc": {"value": 0.9, "standard_deviation": "NaN"},
                }
            },
            "binary_classification_metrics",
            ["matrix", "linear_graph", "number"],
        ),
        (
            "clarify_bias",
            {
                "pre_training_bias_metrics": {
                    "label": "y",
                    "label_value_or_threshold": "1",
                    "facets": {"age": [{"value_or_threshold": "(40, 90]", "metrics": [{"name": "CI", "value": 0.1}]}]},
                }
            },
            "pre_training_bias_metrics - label y = 1 and facet age=(40, 90]",
            ["number"],
        ),
        (
            "clarify_explainability",
            {"explanations": {"kernel_shap": {"label0": {"global_shap_values": {"age": 0.4, "income": 0.1}}}}},
            "explanations - global_shap_values, label=label0",
            ["bar_chart"],
        ),
        (
            "model_card_metric_schema",
            {"metric_groups": [{"name": "g", "metric_data": [{"name": "m", "type": "string", "value": "x"}]}]},
            "g",
            ["string"],
        ),
    ],
)
def test_every_kind_of_report_is_read(kind: str, document: Any, name: str, types: list[str]) -> None:
    (group,) = groups_of(document, kind, "s3://b/k")
    assert group["name"] == name and [each["type"] for each in group["metric_data"]] == types


@pytest.mark.parametrize("document", [[], {}, {"metric_groups": 7}, {"explanations": 1}, "text", None])
@pytest.mark.parametrize("kind", ["regression", "clarify_bias", "clarify_explainability", "model_card_metric_schema"])
def test_a_file_of_another_kind_is_told(kind: str, document: Any) -> None:
    with pytest.raises(BadRequest, match=kind):
        groups_of(document, kind, "s3://b/k")
