"""What the old product did with a request, and what ours is to be compared with.

``golden/`` holds requests and results of MLOps Workload Orchestrator v2.2.3 as recorded; ``parameter_names.yaml`` says
where each of its template parameters went. ``python -m tests.dropin.old_product`` writes that map into
``docs/migrating.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from orchestrator.model import StackPlan, Stage
from orchestrator.settings import Settings

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "migrating.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
HUB, REGION = "123456789012", "us-east-1"
ACCOUNTS = {"dev": "111111111111", "staging": "222222222222", "prod": "333333333333"}
ABSENT = object()


@dataclass(frozen=True)
class Case:
    """One recorded request: the body, how the old product was deployed, what it answered first and again."""

    name: str
    body: Mapping[str, Any]
    deployment: str
    first: Mapping[str, Any]
    again: Mapping[str, Any]

    @property
    def settings(self) -> Settings:
        """Ours, deployed as the old product was."""
        here = (Stage("prod", HUB, REGION),)
        there = tuple(Stage(name, account, REGION, name != "dev") for name, account in ACCOUNTS.items())
        return Settings(
            account=HUB,
            region=REGION,
            assets_bucket="bench-assets",
            artifact_bucket="bench-artifacts",
            artifact_key_arn=f"arn:aws:kms:{REGION}:{HUB}:key/0",
            notifications_topic_arn=f"arn:aws:sns:{REGION}:{HUB}:mlops-topic",
            function_arn=f"arn:aws:lambda:{REGION}:{HUB}:function:mlops-orchestrator",
            cloudformation_role_arn=f"arn:aws:iam::{HUB}:role/mlops-cfn-role",
            stages=there if self.deployment.startswith("multi_account") else here,
            use_model_registry=self.deployment.endswith("registry"),
        )

    @property
    def stack(self) -> str:
        """The stack it created."""
        return str(self.first["cloudformation"][0]["arguments"]["StackName"])

    @property
    def workload_stack(self) -> str:
        """The stack its pipeline deployed; the beginning of several stacks' names.

        An image builder was one stack; ours has the CodePipeline in that one, and the build in another.
        """
        return self.arguments.get("StackName", f"{self.stack}-image-build")

    @property
    def arguments(self) -> Mapping[str, str]:
        """The parameters of the stack it created."""
        return old_parameters(self.first["cloudformation"][0]["arguments"]["Parameters"])

    @property
    def bundles(self) -> Mapping[str, Mapping[str, Any]]:
        """Key in the assets bucket -> the members of the zip written there."""
        found: Mapping[str, Mapping[str, Any]] = self.first.get("zip", {})
        return found


@cache
def cases() -> tuple[Case, ...]:
    """Every recorded request."""
    recorded = json.loads((HERE / "golden" / "provision.json").read_text())
    return tuple(
        Case(name, each["body"], each["deployment"], each["result"]["first"], each["result"]["again"])
        for name, each in recorded.items()
    )


@cache
def names() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Kind -> old parameter -> where it went."""
    found: Mapping[str, Mapping[str, Mapping[str, str]]] = yaml.safe_load((HERE / "parameter_names.yaml").read_text())
    return found


def old_parameters(document: Any) -> Mapping[str, str]:
    """The parameters in one of the old product's files, which had two forms."""
    if isinstance(document, list):
        return {item["ParameterKey"]: item["ParameterValue"] for item in document}
    return dict(document["Parameters"])


# ---- comparing values ----


def expected(value: str, about: Mapping[str, str], settings: Settings) -> Any:
    """The old value as ours is written; ABSENT where ours says nothing."""
    if value == "":
        return about.get("empty", ABSENT)
    form = about.get("form", "text")
    if form == "folder":
        return value.rpartition("/")[0]
    if form == "shap":
        return _shap(json.loads(value), settings)
    if form == "asset":
        return f"s3://{settings.assets_bucket}/{value}"
    if form == "uri":
        return f"s3://{value}"
    if form == "json":
        return {key: _text(item) for key, item in json.loads(value).items()}
    if form == "ranges":
        return _ranges(json.loads(value))
    if form == "tuner":
        return _tuner(json.loads(value))
    if form == "boolean":
        return value == "True"
    if form == "number":
        return int(value)
    return json.loads(value) if form == "list" else value


def ours(stack: StackPlan, about: Mapping[str, str]) -> Any:
    """The value of ours, or ABSENT."""
    if "parameter" in about and "within" not in about:
        return stack.parameters.get(about["parameter"], ABSENT)
    within = "within" in about
    place: Any = json.loads("{" + stack.parameters[about["parameter"]]) if within else stack.job_input
    for step in about["within" if within else "job"].split("."):
        index: Any = int(step) if step.isdigit() else step
        try:
            place = place[index]
        except (KeyError, IndexError):
            return ABSENT
    return place


def agree(wanted: Any, found: Any, about: Mapping[str, str]) -> bool:
    """Whether the values are the same; of a tuner's settings, whether those of old are among ours."""
    if about.get("form") == "tuner" and isinstance(found, Mapping):
        return bool(wanted == {key: found.get(key) for key in wanted})
    return bool(wanted == found)


def _ranges(given: Mapping[str, Any]) -> dict[str, Any]:
    """``{name: [kind, values]}`` as CreateHyperParameterTuningJob takes it."""
    found: dict[str, list[Any]] = {}
    for name, (kind, values) in given.items():
        range_of = {"MinValue": _text(values[0]), "MaxValue": _text(values[-1]), "ScalingType": "Auto"}
        found.setdefault(f"{kind.capitalize()}ParameterRanges", []).append(
            {"Name": name, **({"Values": values} if kind == "categorical" else range_of)}
        )
    return found


def _shap(given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Arguments of the SDK's SHAPConfig; a file of background rows lay in the assets bucket."""
    baseline = given.get("baseline")
    named = {"baseline": f"s3://{settings.assets_bucket}/{baseline}"} if isinstance(baseline, str) else {}
    return {**given, **named}


def _tuner(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the SDK's HyperparameterTuner as CreateHyperParameterTuningJob takes them."""
    return {
        "Strategy": given.get("strategy", "Bayesian"),
        "HyperParameterTuningJobObjective": {
            "Type": given.get("objective_type", "Maximize"),
            "MetricName": given["objective_metric_name"],
        },
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": given.get("max_jobs", 1),
            "MaxParallelTrainingJobs": given.get("max_parallel_jobs", 1),
        },
        "TrainingJobEarlyStoppingType": given.get("early_stopping_type", "Off"),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ---- the page ----


def table() -> str:
    """The map as the migration page shows it."""
    lines = []
    for kind, parameters in names().items():
        lines += ["", f"**{kind}**", "", "| old parameter | now |", "|---|---|"]
        lines += [f"| {name} | {_where(about)} |" for name, about in parameters.items()]
    return "\n".join(lines).strip()


def _where(about: Mapping[str, str]) -> str:
    return "; ".join(_words(about))


def _words(about: Mapping[str, str]) -> Iterator[str]:
    if "gone" in about:
        yield about["gone"]
        return
    yield f"parameter `{about['parameter']}`" if "parameter" in about else f"job input `{about['job']}`"
    if "within" in about:
        yield f"there `{about['within']}`"
    if about.get("form", "text") in ("asset", "uri"):
        yield "as an `s3://` URI"
    if "empty" in about:
        yield f"empty is {about['empty']}"


def page() -> str:
    """The migration page with the map in it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
