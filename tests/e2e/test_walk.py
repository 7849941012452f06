"""Every runnable example goes from a Git commit to live endpoints that answer as the model does in process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.aws import Aws
from orchestrator.cli import embedded
from orchestrator.cli.__main__ import main
from orchestrator.deployed import endpoints
from orchestrator.runs import targets
from tests.e2e.conftest import PIPELINES, Machine, finish

EXAMPLES = sorted(path.parent.name for path in PIPELINES.glob("*/data.py"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_from_commit_to_production(machine: Machine, example: str) -> None:
    walk = machine.walk(example)
    needed = (walk.example / "requires.txt").read_text().split() if (walk.example / "requires.txt").exists() else []
    for package in needed:
        pytest.importorskip(package)
    walk.write_data(machine.outputs["AssetsBucket"])
    repository: Path = walk.repository()
    embedded.link_repository(machine.running, repository)
    walk.commit(repository, "first")
    project = f"mlops-pipeline-{walk.config['model_name']}-workload"

    states = finish(walk, project, walk.wait_for_run(project))

    assert set(states.values()) == {"Succeeded"}, states
    walk.target.enter()
    aws = Aws(walk.target.settings())
    found = endpoints(aws, targets(aws, project))
    assert [endpoint.stage for endpoint in found] == [stage["name"] for stage in walk.config["stages"]]
    for endpoint in found:
        assert endpoint.status == "InService"
        reference = walk.reference_predictions(endpoint.model_data_url)
        assert walk.endpoint_predictions(endpoint.account, endpoint.name) == pytest.approx(reference, abs=1e-4)
        assert walk.accuracy(reference) > 0.9


def test_data_goes_where_a_config_looks_for_it(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows" / "more").mkdir(parents=True)
    (tmp_path / "rows" / "a.csv").write_text("1,2\n")
    (tmp_path / "rows" / "more" / "b.csv").write_text("3,4\n")

    assert main(["upload", str(tmp_path / "rows"), "--to", "data/mine", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    bucket = machine.outputs["AssetsBucket"]
    s3 = machine.walk("wine-script").client("s3")
    kept = {one["key"]: s3.get_object(Bucket=bucket, Key=one["key"])["Body"].read() for one in told}
    assert kept == {"data/mine/a.csv": b"1,2\n", "data/mine/more/b.csv": b"3,4\n"}
    assert main(["upload", str(tmp_path / "rows"), "--to", "mlops_provisioned_pipelines"]) == 2
    assert "belongs to the orchestrator" in capsys.readouterr().err
