"""The content of a model card: from a request's sections to the document SageMaker keeps, and merged with an old one.

What can be found out is found out here: a named model's archives and images, the training job behind it, and the
metrics in files that evaluation jobs left in S3.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.aws import Aws
from orchestrator.card_forms import ADDITIONAL, OBJECTIVE, OVERVIEW, USES
from orchestrator.card_metrics import groups_of
from orchestrator.errors import BadRequest, Conflict

Content = dict[str, Any]
LARGEST_METRIC_FILE = 1024 * 1024
MOST_ARTIFACTS = 15
MOST_JOB_DETAILS = 100


def content_of(body: Mapping[str, Any], aws: Aws, old: Mapping[str, Any] | None = None) -> Content:
    """The card's content: what the request gives, over what the card says already.

    Raises BadRequest for a metric file that cannot be read, Conflict when another card has the model, AwsFailed when
    a named model or job is not there.
    """
    content: Content = {key: value for key, value in (old or {}).items() if value not in (None, {}, [])}
    for name, build in _SECTIONS.items():
        if name in body:
            content[name] = _merged(content.get(name, {}), build(body[name], aws, str(body.get("name", ""))))
    if "evaluation_details" in body:
        content["evaluation_details"] = [_evaluation(each, aws) for each in body["evaluation_details"]]
    if "model_overview" in content:
        content["model_overview"].setdefault("model_artifact", [])
    if "intended_uses" in content:
        content["intended_uses"].setdefault("risk_rating", "Unknown")
    return content


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Content:
    """The new members over the old ones, also inside objects; a list takes the place of the old one."""
    both = dict(old)
    for key, value in new.items():
        before = both.get(key)
        both[key] = _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return both


def _known(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Content:
    return {key: given[key] for key in schema["properties"] if given.get(key) is not None}


def _images(uris: list[str]) -> Content:
    return {"container_image": uris}


# ---- the sections ----


def _overview(given: Mapping[str, Any], aws: Aws, card: str) -> Content:
    section = _known(given, OVERVIEW)
    name = section.pop("model_name", None)
    if "inference_environment" in section:
        section["inference_environment"] = _images(section["inference_environment"])
    if name is None:
        return section
    model = _model(name, aws)
    _require_own_card(model["ModelArn"], card, aws)
    found: Content = {"model_id": model["ModelArn"], "model_name": name}
    archives, images = _of_containers(model, aws)
    found |= {"model_artifact": archives[:MOST_ARTIFACTS], "inference_environment": _images(images[:MOST_ARTIFACTS])}
    return {**found, **section}


def _uses(given: Mapping[str, Any], _aws: Aws, _card: str) -> Content:
    return _known(given, USES)


def _training(given: Mapping[str, Any], aws: Aws, _card: str) -> Content:
    section: Content = {}
    objective = _known(given.get("objective_function") or {}, OBJECTIVE)
    if objective:
        notes = {"notes": objective.pop("notes")} if "notes" in objective else {}
        section["objective_function"] = {"function": objective, **notes}
    if given.get("training_observations"):
        section["training_observations"] = given["training_observations"]
    job = given.get("training_job_name") or (given.get("model_name") and _job_of_model(given["model_name"], aws))
    details = given.get("training_job_details")
    if job:
        section["training_job_details"] = _discovered_job(str(job), aws)
    elif details is not None:
        section["training_job_details"] = _job_details(details)
    return section


def _job_details(given: Mapping[str, Any]) -> Content:
    details: Content = {key: given[key] for key in ("training_arn", "training_datasets") if key in given}
    if "training_environment" in given:
        details["training_environment"] = _images(given["training_environment"])
    for key in ("training_metrics", "user_provided_training_metrics"):
        if key in given:
            details[key] = given[key]
    return {**details, "hyper_parameters": [], "user_provided_hyper_parameters": []}


def _evaluation(given: Mapping[str, Any], aws: Aws) -> Content:
    kept = ("name", "evaluation_observation", "evaluation_job_arn", "datasets", "metadata", "metric_groups")
    evaluation: Content = {key: given[key] for key in kept if given.get(key) is not None}
    if given.get("metric_file_s3_url"):
        document = _document(given["metric_file_s3_url"], aws)
        groups = groups_of(document, given["metric_type"], given["metric_file_s3_url"])
        evaluation["metric_groups"] = [*evaluation.get("metric_groups", []), *groups]
    return evaluation


def _additional(given: Mapping[str, Any], _aws: Aws, _card: str) -> Content:
    return _known(given, ADDITIONAL)


_SECTIONS: Mapping[str, Callable[[Mapping[str, Any], Aws, str], Content]] = {
    "model_overview": _overview,
    "intended_uses": _uses,
    "training_details": _training,
    "additional_information": _additional,
}


# ---- what is found out ----


def _model(name: str, aws: Aws) -> dict[str, Any]:
    return aws.call("sagemaker", "describe_model", ModelName=name)


def _of_containers(model: Mapping[str, Any], aws: Aws) -> tuple[list[str], list[str]]:
    """Archives and images of a model; of one that was made from a package, those of the package."""
    containers = model.get("Containers") or [model.get("PrimaryContainer", {})]
    archives, images = [], []
    for container in containers:
        inner = [container]
        if container.get("ModelPackageName"):
            package = aws.call("sagemaker", "describe_model_package", ModelPackageName=container["ModelPackageName"])
            inner = package.get("InferenceSpecification", {}).get("Containers", [])
        archives += [each["ModelDataUrl"] for each in inner if each.get("ModelDataUrl")]
        images += [each["Image"] for each in inner if each.get("Image")]
    return archives, images


def _require_own_card(model_arn: str, card: str, aws: Aws) -> None:
    """A model has one card: SageMaker Search knows which."""
    for found in _search(aws, "ModelCard", "ModelId", model_arn):
        other = found.get("ModelCard", {}).get("ModelCardName", "")
        if other and other != card:
            raise Conflict(f"The model card {other} is about this model already.", hint=f"Update {other} instead.")


def _job_of_model(name: str, aws: Aws) -> str:
    archives, _ = _of_containers(_model(name, aws), aws)
    for archive in archives:
        for found in _search(aws, "TrainingJob", "ModelArtifacts.S3ModelArtifacts", archive):
            return str(found["TrainingJob"]["TrainingJobName"])
    raise BadRequest(
        f"No training job of this account made the archive of the model {name}.",
        hint="Name the job with `training_job_name`, or write `training_job_details`.",
    )


def _search(aws: Aws, resource: str, name: str, value: str) -> list[dict[str, Any]]:
    expression = {"Filters": [{"Name": name, "Operator": "Equals", "Value": value}]}
    answer = aws.call("sagemaker", "search", Resource=resource, SearchExpression=expression, MaxResults=10)
    return list(answer.get("Results", []))


def _discovered_job(name: str, aws: Aws) -> Content:
    job = aws.call("sagemaker", "describe_training_job", TrainingJobName=name)
    sources = [channel.get("DataSource", {}).get("S3DataSource", {}) for channel in job.get("InputDataConfig", [])]
    metrics = [{"name": each["MetricName"], "value": each["Value"]} for each in job.get("FinalMetricDataList", [])]
    parameters = [{"name": key, "value": value} for key, value in job.get("HyperParameters", {}).items()]
    image = job.get("AlgorithmSpecification", {}).get("TrainingImage")
    return {
        "training_arn": job["TrainingJobArn"],
        "training_datasets": [source["S3Uri"] for source in sources if source.get("S3Uri")],
        "training_environment": _images([image] if image else []),
        "training_metrics": metrics[:MOST_JOB_DETAILS],
        "user_provided_training_metrics": [],
        "hyper_parameters": parameters[:MOST_JOB_DETAILS],
        "user_provided_hyper_parameters": [],
    }


def _document(uri: str, aws: Aws) -> Any:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = aws.call("s3", "get_object", Bucket=bucket, Key=key)["Body"].read(LARGEST_METRIC_FILE + 1)
    if len(body) > LARGEST_METRIC_FILE:
        raise BadRequest(f"The metric file {uri} is larger than {LARGEST_METRIC_FILE} bytes.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The metric file {uri} is not JSON.") from error
