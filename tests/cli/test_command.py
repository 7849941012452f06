"""The mlops command: light, honest exit codes, data on standard output and talk on standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.__main__ import find_verbs, main

HEAVY = {"boto3", "botocore", "jinja2", "jsonschema", "yaml", "moto", "numpy", "xgboost"}


@pytest.fixture(autouse=True)
def no_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No embedded AWS, no credentials, an empty home, an empty folder."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)


def test_help_loads_nothing_heavy() -> None:
    code = "import sys\nfrom orchestrator.cli.__main__ import parser\nparser().format_help()\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.split(".")[0] for name in loaded} & HEAVY


@pytest.mark.parametrize("verb", sorted(find_verbs()))
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_the_verbs_the_product_promises_are_there() -> None:
    promised = "init validate plan render provision list status approve reject start stop logs invoke delete demo local"
    assert set(promised.split()) <= set(find_verbs())


def test_init_validate_plan_render(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert main(["validate"]) == 0
    assert "breast-cancer" in capsys.readouterr().out
    assert main(["plan"]) == 0
    assert "mlops-pipeline-breast-cancer-workload-endpoint-prod" in capsys.readouterr().out
    assert main(["render", "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    document = json.loads(captured.out)
    for name in document["files"]:
        assert (Path(document["folder"]) / name).exists()


def test_init_does_not_overwrite(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mlops-config.json").write_text("mine")
    assert main(["init"]) == 4
    assert Path("mlops-config.json").read_text() == "mine"
    assert "mlops-config.json" in capsys.readouterr().err


@pytest.mark.parametrize("example", ["breast-cancer", "digits-pytorch", "wine-script"])
def test_every_example_can_be_started_from(example: str) -> None:
    assert main(["init", "--from", example]) == 0
    assert main(["validate"]) == 0
    assert main(["render"]) == 0


def test_all_problems_are_told_with_path_value_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init"])
    config = json.loads(Path("mlops-config.json").read_text())
    config["stages"][0]["account"] = "12"
    config["pipelines"][0]["instance_typ"] = "ml.m5.large"
    Path("mlops-config.json").write_text(json.dumps(config))
    capsys.readouterr()
    assert main(["validate"]) == 2
    told = capsys.readouterr().err
    assert "$.stages[0].account" in told
    assert "instance_type" in told, "did you mean"
    assert main(["validate", "--json"]) == 2
    paths = [problem["path"] for problem in json.loads(capsys.readouterr().out)["problems"]]
    assert "$.stages[0].account" in paths
    assert "$.pipelines[0].instance_typ" in paths


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["validate"], 3, "mlops init"),
        (["status"], 5, "mlops local up"),
        (["provision", "missing.json"], 3, "missing.json"),
        (["local", "info"], 3, "mlops local up"),
        (["demo", "--example", "nothing"], 3, "breast-cancer"),
    ],
)
def test_errors_say_the_next_command(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert says in capsys.readouterr().err


def test_a_file_that_is_not_json_is_told_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mlops-config.json").write_text('{\n "version": 2,\n "model_name": x\n}')
    assert main(["validate"]) == 2
    assert "line 3" in capsys.readouterr().err


def test_wrong_usage_exits_with_2() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["reject"])
    assert stopped.value.code == 2
