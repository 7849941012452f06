"""``mlops migrate``: the modern form of an old config plans the same, and says what became of every key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.blueprint import load_catalog
from orchestrator.cli.__main__ import main
from orchestrator.cli.verbs.migrate import migrated
from orchestrator.flow import prepare
from tests.corridor.launch import ROOT
from tests.dropin.old_product import Case, cases

CATALOG = load_catalog()
ACCEPTED = [case for case in cases() if case.first["status"] == 200 and case.body["pipeline_type"] in CATALOG.types]
# Made from the project's name, which holds the type, so that two projects never share a machine or a job.
NAMES = {"StateMachineName", "JobName", "ProjectName"}


def effective(body: Any, case: Case) -> list[Any]:
    """What is deployed and run, but for names that are made from the project's."""
    ready = prepare(body, case.settings, CATALOG)
    (pipeline,) = ready.plan.pipelines
    text = json.dumps(
        [
            pipeline.kind,
            [
                [stack.stage.name, _without(stack.parameters), _without(stack.job_input or {})]
                for stack in pipeline.stacks
            ],
            dict(pipeline.shape),
        ],
        sort_keys=True,
    )
    text = text.replace(ready.plan.project, "<project>")
    if pipeline.kind.endswith("_monitor"):  # what a monitor makes is named after it, and it after the project
        text = re.sub(r"-[0-9a-f]{8}(?=[-/\\\"])", "-<hash>", text)
    found: list[Any] = json.loads(text)
    return found


def _without(members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in NAMES}


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_the_modern_form_plans_the_same(case: Case) -> None:
    modern, rows = migrated(case.body, CATALOG, case.settings)
    assert not CATALOG.types[modern["pipeline_type"]].deprecated
    assert effective(modern, case) == effective(case.body, case)
    assert {row["old key"] for row in rows} >= set(case.body)


def test_every_key_is_accounted_for() -> None:
    case = next(case for case in ACCEPTED if case.body["pipeline_type"] == "byom_realtime_builtin")
    body = {**case.body, "colour": "red", "kms_key_arn": ""}
    modern, rows = migrated(body, CATALOG, case.settings)
    notes = {row["old key"]: (row["key"], row["note"]) for row in rows if row["old key"]}
    assert notes["colour"] == ("", "dropped: nothing looks at it")
    assert notes["kms_key_arn"] == ("kms_key_arn", "dropped: it is empty")
    assert notes["inference_instance"] == ("instance_type", "renamed")
    assert modern["image"].endswith("/xgboost:1") and notes["model_framework"][0] == "image"


def test_the_command_shows_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = ROOT / "blueprints/realtime_inference/examples/custom_image_old_form.json"
    assert main(["migrate", str(old), "--quiet", "-o", str(tmp_path / "new.json")]) == 0
    assert "was byom_realtime_custom" in capsys.readouterr().out
    assert main(["validate", str(tmp_path / "new.json"), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["migrate", str(old), "--quiet", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["config"] == json.loads((tmp_path / "new.json").read_text()) and told["keys"]


def test_what_is_modern_or_wrong_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    modern = ROOT / "blueprints/realtime_inference/examples/one_account.json"
    assert main(["migrate", str(modern), "--quiet"]) == 2
    (tmp_path / "wrong.json").write_text('{"pipeline_type": "byom_realtime_builtin"}')
    assert main(["migrate", str(tmp_path / "wrong.json"), "--quiet"]) == 2
    assert "model_artifact_location" in capsys.readouterr().err
