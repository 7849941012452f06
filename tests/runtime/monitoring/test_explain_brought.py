"""Settings that name objects in S3 become files; model_scores may be an object."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orchestrator.runtime.monitoring.asking import Endpoint
from orchestrator.runtime.monitoring.brought import brought
from orchestrator.runtime.monitoring.failures import InputUnreadable
from orchestrator.runtime.monitoring.kinds import Definition, find


class Store:
    """Writes what was asked for into the file."""

    def download_file(self, bucket: str, key: str, target: str) -> None:
        Path(target).write_text(f"{bucket} {key}")


def told(**settings: Any) -> Definition:
    return Definition("model_explainability", "m", settings=settings)


def test_what_a_kind_names_is_brought_and_nothing_else(tmp_path: Path) -> None:
    given = told(shap_config={"baseline": "s3://b/x/rows.csv", "seed": 1}, label="s3://b/no.csv")
    found = brought(find("model_explainability"), given, Store, tmp_path).settings
    assert Path(found["shap_config"]["baseline"]).read_text() == "b x/rows.csv"
    assert (found["shap_config"]["seed"], found["label"]) == (1, "s3://b/no.csv")
    assert given.settings["shap_config"]["baseline"] == "s3://b/x/rows.csv"


@pytest.mark.parametrize(
    "settings", [{}, {"shap_config": {"baseline": [[1]]}}, {"shap_config": {"baseline": "rows.csv"}}]
)
def test_without_an_object_no_client_is_made(settings: dict[str, Any], tmp_path: Path) -> None:
    def never() -> Any:
        raise AssertionError

    assert brought(find("model_explainability"), told(**settings), never, tmp_path).settings == settings
    assert brought(ModuleType("other"), told(model_file="s3://b/k"), never, tmp_path).settings == {
        "model_file": "s3://b/k"
    }


@pytest.mark.parametrize("uri", ["s3://", "s3://bucket", "s3://bucket/folder/"])
def test_an_uri_without_an_object_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match="names no object"):
        brought(find("model_explainability"), told(model_file=uri), Store, tmp_path)


class Runtime:
    """Answers each row with a label and two scores."""

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        rows = request["Body"].decode().splitlines()
        return {"Body": io.BytesIO("\n".join("1,0.25,0.75" for _ in rows).encode())}


def test_scores_lie_where_the_sdks_config_says() -> None:
    endpoint = Endpoint(Runtime(), "e", {"model_scores": {"probability": 2, "label_headers": ["yes"]}})
    assert endpoint([[1], [2]]) == [[0.75], [0.75]]
