"""The content model of model cards: what a request may say of a card, as JSON Schema.

Sections and names are those of the API's users; ``card_content`` turns them into the document SageMaker keeps
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-cards.html). Names that are not here are left out, and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.explain import path_to

Schema = dict[str, Any]

STATUSES = ["Draft", "PendingReview", "Approved", "Archived"]
RATINGS = ["High", "Medium", "Low", "Unknown"]
METRIC_FILES = [
    "model_card_metric_schema",
    "clarify_bias",
    "clarify_explainability",
    "regression",
    "binary_classification",
    "multiclass_classification",
]
OPERATIONS = (
    "create_model_card",
    "update_model_card",
    "describe_model_card",
    "delete_model_card",
    "export_model_card",
    "export_model_cards",
    "list_model_cards",
)


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def _list(items: Schema, most: int = 0) -> Schema:
    return {"type": "array", "items": items, **({"maxItems": most} if most else {})}


TEXT: Schema = {"type": "string", "maxLength": 1024}
LONG_TEXT: Schema = {"type": "string", "maxLength": 2048}
URI: Schema = {"type": "string", "minLength": 1, "maxLength": 1024}
CARD_NAME: Schema = {
    "title": "Name",
    "description": "Names the card in its account and region.",
    "type": "string",
    "pattern": "^[A-Za-z0-9](-*[A-Za-z0-9]){0,62}$",
    "examples": ["churn"],
}
METRIC: Schema = {
    **_object(name={**TEXT, "minLength": 1}, value={"type": ["number", "string", "boolean"]}, notes=TEXT),
    "required": ["name", "value"],
}
METRIC_DATA: Schema = {
    **_object(
        name={**TEXT, "minLength": 1},
        type={"enum": ["number", "linear_graph", "string", "boolean", "matrix", "bar_chart"]},
        value={},
        notes=TEXT,
        x_axis_name={"type": ["string", "array"]},
        y_axis_name={"type": ["string", "array"]},
    ),
    "required": ["name", "type", "value"],
}

OVERVIEW = _object(
    model_name={**URI, "description": "A SageMaker model; its ARN, archives and images are filled in."},
    model_id=TEXT,
    model_description=TEXT,
    model_version={"type": ["integer", "number", "string"]},
    problem_type=TEXT,
    algorithm_type=TEXT,
    model_creator=TEXT,
    model_owner=TEXT,
    model_artifact=_list(URI, 15),
    inference_environment=_list(URI, 15),
)
USES = _object(
    purpose_of_model=LONG_TEXT,
    intended_uses=LONG_TEXT,
    factors_affecting_model_efficiency=LONG_TEXT,
    risk_rating={"enum": RATINGS},
    explanations_for_risk_rating=LONG_TEXT,
)
OBJECTIVE = _object(
    function={"enum": ["Maximize", "Minimize"]},
    facet={"enum": ["Accuracy", "AUC", "Loss", "MAE", "RMSE"]},
    condition=TEXT,
    notes=TEXT,
)
JOB = _object(
    training_arn=TEXT,
    training_datasets=_list(URI, 15),
    training_environment=_list(URI, 15),
    training_metrics=_list(METRIC, 50),
    user_provided_training_metrics=_list(METRIC, 50),
)
TRAINING = _object(
    model_name={**URI, "description": "A SageMaker model; the job that trained it is searched for."},
    training_job_name={**URI, "description": "A training job; its data, image, metrics and parameters are filled in."},
    objective_function=OBJECTIVE,
    training_observations=TEXT,
    training_job_details=JOB,
)
EVALUATION: Schema = {
    **_object(
        name={**TEXT, "minLength": 1},
        metric_file_s3_url={"type": "string", "pattern": "^s3://[^/]+/.+$", "maxLength": 1024},
        metric_type={"enum": METRIC_FILES},
        evaluation_observation=LONG_TEXT,
        evaluation_job_arn=TEXT,
        datasets=_list(URI, 10),
        metadata={"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        metric_groups=_list(
            {**_object(name={**TEXT, "minLength": 1}, metric_data=_list(METRIC_DATA)), "required": ["name"]}
        ),
    ),
    "required": ["name"],
    "dependencies": {"metric_file_s3_url": ["metric_type"]},
}
ADDITIONAL = _object(
    ethical_considerations=LONG_TEXT,
    caveats_and_recommendations=LONG_TEXT,
    custom_details={"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
)
SECTIONS: Schema = {
    "model_overview": {"title": "Model overview", **OVERVIEW},
    "intended_uses": {"title": "Intended uses", **USES},
    "training_details": {"title": "Training details", **TRAINING},
    "evaluation_details": {"title": "Evaluation details", **_list(EVALUATION)},
    "additional_information": {"title": "Additional information", **ADDITIONAL},
}
READ_ONLY: Schema = {key: {} for key in ("arn", "version", "created_by", "last_modified_by")}
"""Accepted as they always were, and without effect: SageMaker decides them."""

_CONTENT = {"name": CARD_NAME, "status": {"enum": STATUSES}, **SECTIONS, **READ_ONLY}
_EXPORT = {
    "name": CARD_NAME,
    "export_job_name": {
        **CARD_NAME,
        "title": "Export job",
        "description": "Names the export; the default is the card's name and the time.",
    },
    "model_card_version": {
        "title": "Version",
        "description": "The version of the card; the default is the latest.",
        "type": ["integer", "string"],
        "pattern": "^ *[0-9]{1,9} *$",
        "minimum": 1,
    },
}
_OF_OPERATION: Mapping[str, Schema] = {
    "create_model_card": _CONTENT,
    "update_model_card": _CONTENT,
    "describe_model_card": {"name": CARD_NAME},
    "delete_model_card": {"name": CARD_NAME},
    "export_model_card": _EXPORT,
    "export_model_cards": _EXPORT,
    "list_model_cards": {},
}


def form(operation: str) -> Schema:
    """The schema of a request for one operation."""
    properties = _OF_OPERATION[operation]
    return {
        "title": operation.replace("_", " ").capitalize(),
        "type": "object",
        "required": ["pipeline_type", *(["name"] if "name" in properties else [])],
        "properties": {"pipeline_type": {"const": operation}, **properties},
    }


def unknown(value: Any, schema: Mapping[str, Any], path: str = "$") -> Iterator[str]:
    """The path of every name in ``value`` that the schema does not know."""
    if isinstance(value, Mapping) and "properties" in schema:
        for key, item in value.items():
            if key not in schema["properties"]:
                yield path_to(path, key)
            else:
                yield from unknown(item, schema["properties"][key], path_to(path, key))
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from unknown(item, schema["items"], path_to(path, index))
