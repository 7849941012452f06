"""Training jobs as processes: what they see, how they end, what they leave."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer

from orchestrator.runtime import isolation
from orchestrator.runtime.process import is_held, read_json, start_supervisor
from orchestrator.runtime.training.job import Exit, Job

ISOLATIONS = ["prefix", "bwrap"] if isolation.available() else ["prefix"]


def job(kind: str, **members: object) -> Job:
    return Job(
        name="job-1",
        arn="arn:aws:sagemaker:us-east-1:222222222222:training-job/job-1",
        region="us-east-1",
        kind=kind,
        **{"isolation": "prefix", "instance_type": "ml.m5.large", **members},
    )


def source(folder: Path, **files: str) -> None:
    """Put the user's code where the supervisor looks for it; ``__`` in a name stands for a dot."""
    with tarfile.open(folder / "source.tar.gz", "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))


def script(text: str, folder: Path, **members: object) -> Job:
    source(folder, train__py=text)
    parameters = {"sagemaker_program": '"train.py"', **members.pop("hyperparameters", {})}  # type: ignore[dict-item]
    return job("sklearn", hyperparameters=parameters, **members)


def run(folder: Path, to_run: Job) -> Exit:
    to_run.write(folder)
    subprocess.run([sys.executable, "-m", "orchestrator.runtime.training", str(folder)], check=True, timeout=60)
    ended = Exit.read(folder)
    assert ended is not None
    return ended


def members(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def wait_for(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def cancer(folder: Path) -> dict[str, dict[str, str]]:
    """Breast cancer as SageMaker's XGBoost wants it: label first, no header."""
    data = load_breast_cancer()
    table = np.column_stack([data.target, data.data])
    for name, rows in (("train", table[:400]), ("validation", table[400:])):
        channel = folder / "ml/input/data" / name
        channel.mkdir(parents=True)
        np.savetxt(channel / f"{name}.csv", rows, delimiter=",", fmt="%.8g")
    return {name: {"ContentType": "text/csv", "TrainingInputMode": "File"} for name in ("train", "validation")}


XGBOOST = {
    "num_round": "15",
    "objective": "binary:logistic",
    "eval_metric": "auc,error",
    "max_depth": "3",
    "eta": "0.3",
}


def test_builtin_xgboost_trains_the_model_xgboost_would(tmp_path: Path) -> None:
    ended = run(tmp_path, job("xgboost", hyperparameters=XGBOOST, channels=cancer(tmp_path)))
    assert (ended.status, ended.exit_code, ended.reason) == ("Completed", 0, "")
    assert ended.artifacts == ["model.tar.gz"]
    with tarfile.open(tmp_path / "artifacts/model.tar.gz") as tar:
        assert tar.getnames() == ["xgboost-model"]
        ours = xgboost.Booster(model_file=bytearray(tar.extractfile("xgboost-model").read()))  # type: ignore[union-attr]
    rows = {n: np.loadtxt(tmp_path / f"ml/input/data/{n}/{n}.csv", delimiter=",", dtype=np.float32)
            for n in ("train", "validation")}  # fmt: skip
    train, held_out = (xgboost.DMatrix(rows[n][:, 1:], label=rows[n][:, 0]) for n in ("train", "validation"))
    plain = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "eta": 0.3}, train, 15)
    assert np.array_equal(ours.predict(held_out), plain.predict(held_out))
    metrics = {metric["MetricName"]: metric["Value"] for metric in ended.metrics}
    assert set(metrics) == {"train:auc", "train:error", "validation:auc", "validation:error"}
    wrong = np.mean((plain.predict(held_out) > 0.5) != rows["validation"][:, 0])
    assert metrics["validation:error"] == pytest.approx(wrong, abs=1e-5)
    assert "[14]\ttrain-auc:" in (tmp_path / "job.log").read_text()


def test_the_same_job_makes_the_same_bytes(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        run(folder, job("xgboost", hyperparameters=XGBOOST | {"num_round": "3"}, channels=cancer(folder)))
        archives.append((folder / "artifacts/model.tar.gz").read_bytes())
    assert archives[0] == archives[1]


def test_early_stopping_keeps_the_best_round(tmp_path: Path) -> None:
    parameters = XGBOOST | {"num_round": "300", "early_stopping_rounds": "3", "eval_metric": "error,logloss"}
    run(tmp_path, job("xgboost", hyperparameters=parameters, channels=cancer(tmp_path)))
    with tarfile.open(tmp_path / "artifacts/model.tar.gz") as tar:
        model = xgboost.Booster(model_file=bytearray(tar.extractfile("xgboost-model").read()))  # type: ignore[union-attr]
    printed = [line for line in (tmp_path / "job.log").read_text().splitlines() if line.startswith("[")]
    assert model.num_boosted_rounds() == len(printed) - 3 < 297


@pytest.mark.parametrize("change, reason", [
    ({"num_round": None}, "Missing required hyperparameter: num_round"),
    ({"num_round": "many"}, "Hyperparameter num_round: could not parse value"),
    ({"eta": "2"}, "Hyperparameter eta: 2.0 is not in [0,1]"),
    ({"subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0,1]"),
    ({"objective": "binary:guess"}, "Hyperparameter objective: binary:guess is not in ["),
    ({"max_deph": "3"}, "Extraneous hyperparameter found: max_deph"),
    ({"objective": "multi:softmax"}, "Require input for parameter 'num_class'"),
    ({"num_class": "3"}, "Do not need to setup parameter 'num_class'"),
    ({"tree_method": "gpu_hist"}, "needs a GPU"),
    ({"_kfold": "5"}, "cross validation is not available"),
    ({"eval_metric": "auc,speed"}, "Hyperparameter eval_metric: value ['auc', 'speed'] not in range"),
])  # fmt: skip
def test_builtin_xgboost_refuses_what_sagemaker_refuses(change: dict[str, str | None], reason: str) -> None:
    from orchestrator.runtime.training.builtin_xgboost.hyperparameters import UserError, validate

    with pytest.raises(UserError) as refusal:
        validate({name: value for name, value in {**XGBOOST, **change}.items() if value is not None})
    assert reason in str(refusal.value)


def test_a_mistake_of_the_user_is_the_reason_of_the_failure(tmp_path: Path) -> None:
    ended = run(tmp_path, job("xgboost", hyperparameters={"eta": "0.1"}, channels=cancer(tmp_path)))
    assert ended.status == "Failed"
    assert ended.reason == (
        "AlgorithmError: framework error: UserError: Missing required hyperparameter: num_round, exit code: 1"
    )
    assert ended.artifacts == []


def test_csv_weights_missing_values_and_libsvm(tmp_path: Path) -> None:
    from orchestrator.runtime.training.builtin_xgboost.data import load

    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "a.csv").write_text("1,0.5,2.0,\n0,1.5,,4.0\n")
    matrix = load(folder, "text/csv; label_size=1", weights=True)
    assert matrix.get_label().tolist() == [1, 0]
    assert matrix.get_weight().tolist() == [0.5, 1.5]
    assert (matrix.num_col(), matrix.num_nonmissing()) == (2, 2)
    (folder / "a.csv").unlink()
    (folder / "a.libsvm").write_text("1 1:2.0 3:4.0\n0:2 2:1 # a remark\n")
    matrix = load(folder, "libsvm", weights=False)
    assert (matrix.get_label().tolist(), matrix.get_weight().tolist(), matrix.num_col()) == ([1, 0], [1, 2], 4)


SEES = """
import argparse, json, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float)
parser.add_argument("--names", type=str)
arguments = parser.parse_args()
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
seen = {
    "alpha": arguments.alpha, "names": arguments.names, "base": str(base), "cwd": os.getcwd(),
    "rows": pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "a.csv").read_text(),
    "hyperparameters": json.loads((base / "input/config/hyperparameters.json").read_text()),
    "hps": json.loads(os.environ["SM_HPS"]), "secret": os.environ.get("SERVER_SECRET", ""),
    "own": os.environ["OWN"], "role": os.environ["AWS_ACCESS_KEY_ID"], "wait": os.environ["OMP_WAIT_POLICY"],
}
pathlib.Path(os.environ["SM_MODEL_DIR"], "seen.json").write_text(json.dumps(seen))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("fine")
print("loss=0.5"); print("loss=0.25 done"); print("loss=nonsense")
"""


@pytest.mark.parametrize("how", ISOLATIONS)
def test_script_mode_sees_the_container_contract(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_SECRET", "not for jobs")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAROLE")
    channel = tmp_path / "ml/input/data/train"
    channel.mkdir(parents=True)
    (channel / "a.csv").write_text("1,2\n")
    ended = run(tmp_path, script(
        SEES, tmp_path, isolation=how, environment={"OWN": "mine"}, channels={"train": {"TrainingInputMode": "File"}},
        hyperparameters={"alpha": "0.5", "names": '["a"]'},
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}, {"Name": "never", "Regex": "x=(.*)"}],
    ))  # fmt: skip
    assert (ended.status, ended.reason) == ("Completed", "")
    seen = json.loads((tmp_path / "ml/model/seen.json").read_text())
    base = "/opt/ml" if how == "bwrap" else str(tmp_path / "ml")
    assert seen["base"] == base
    assert seen["cwd"] == f"{base}/code"
    assert (seen["alpha"], seen["names"], seen["rows"]) == (0.5, "['a']", "1,2\n")
    assert seen["hyperparameters"]["alpha"] == "0.5", "hyperparameters are strings"
    assert seen["hps"] == {"alpha": 0.5, "names": ["a"]}
    assert (seen["secret"], seen["own"], seen["role"], seen["wait"]) == ("", "mine", "ASIAROLE", "PASSIVE")
    assert [(metric["MetricName"], metric["Value"]) for metric in ended.metrics] == [("loss", 0.25)]
    assert members(tmp_path / "artifacts/model.tar.gz") == ["seen.json"]
    assert members(tmp_path / "artifacts/output.tar.gz") == ["report.txt"]


def test_a_script_that_raises_fails_with_its_own_words(tmp_path: Path) -> None:
    ended = run(tmp_path, script("print('so far so good')\nraise ValueError('no such column: age')", tmp_path))
    assert (ended.status, ended.exit_code) == ("Failed", 1)
    assert ended.reason.startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n")
    assert 'ErrorMessage "ValueError: no such column: age"' in ended.reason
    assert ended.reason.endswith(", exit code: 1")


def test_output_failure_goes_before_the_log(tmp_path: Path) -> None:
    text = "import os; open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('bad ' * 1000); raise SystemExit(7)"
    ended = run(tmp_path, script(text, tmp_path))
    assert ended.reason.startswith("AlgorithmError: bad bad")
    assert ended.reason.endswith(", exit code: 7")
    assert len(ended.reason) == 1024


@pytest.mark.parametrize("files, reason", [
    ({"other__py": "1"}, "the source directory has no train.py; it holds other.py"),
    ({"train__py": "1", "requirements__txt": "numpy\nno-such-package-anywhere==1\n"}, "no-such-package-anywhere==1"),
])  # fmt: skip
def test_what_cannot_start_says_why(files: dict[str, str], reason: str, tmp_path: Path) -> None:
    source(tmp_path, **files)
    ended = run(tmp_path, job("sklearn", hyperparameters={"sagemaker_program": "train.py"}))
    assert ended.status == "Failed"
    assert reason in ended.reason


def test_requirements_that_are_there_are_no_obstacle(tmp_path: Path) -> None:
    source(tmp_path, train__py="import numpy", requirements__txt="numpy>=1.26\nscikit-learn\n")
    assert run(tmp_path, job("sklearn", hyperparameters={"sagemaker_program": "train.py"})).status == "Completed"


def test_a_source_archive_cannot_write_outside(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "source.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../escaped"), io.BytesIO())
    ended = run(tmp_path, job("sklearn", hyperparameters={"sagemaker_program": "train.py"}))
    assert ended.status == "Failed"
    assert not (tmp_path.parent / "escaped").exists()
    assert "cannot be unpacked" in ended.reason


SAVES_WHEN_ASKED = """
import os, signal, subprocess, sys, time
def save(*_):
    open(os.environ["SM_MODEL_DIR"] + "/checkpoint", "w").write("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
open(os.environ["SM_OUTPUT_DIR"] + "/ready", "w").close()
while True: time.sleep(0.05)
"""
IGNORES = SAVES_WHEN_ASKED.replace("signal.SIGTERM, save", "signal.SIGTERM, signal.SIG_IGN")


def begin(folder: Path, to_run: Job) -> None:
    to_run.write(folder)
    start_supervisor("orchestrator.runtime.training", folder, {})
    wait_for((folder / "ml/output/ready").exists)


@pytest.mark.parametrize("how", ISOLATIONS)
def test_stop_lets_the_job_save_and_keeps_its_model(how: str, tmp_path: Path) -> None:
    begin(tmp_path, script(SAVES_WHEN_ASKED, tmp_path, isolation=how))
    (tmp_path / "stop").touch()
    wait_for((tmp_path / "exit.json").exists)
    ended = Exit.read(tmp_path)
    assert ended is not None
    assert (ended.status, ended.reason) == ("Stopped", "")
    assert members(tmp_path / "artifacts/model.tar.gz") == ["checkpoint"]


@pytest.mark.parametrize("how", ISOLATIONS)
def test_a_job_that_will_not_end_is_killed_when_its_time_is_up(how: str, tmp_path: Path) -> None:
    to_run = script(IGNORES, tmp_path, isolation=how, max_runtime_seconds=0.5, grace_seconds=0.3)
    ended = run(tmp_path, to_run)
    assert ended.status == "MaxRuntimeExceeded"
    assert ended.exit_code == 137
    assert ended.ended - ended.started < 10


def supervisor_of(folder: Path) -> int:
    """The process id of whoever runs ``folder``."""
    import psutil

    return next(
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in (process.info["cmdline"] or []) and "--detach" in process.info["cmdline"]
    )


def alive(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


COUNTS = "open({marks!r}, 'a').write('x')\n" + SAVES_WHEN_ASKED


def test_a_second_supervisor_changes_nothing(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    begin(tmp_path, script(COUNTS.format(marks=str(marks)), tmp_path))
    for _ in range(3):
        start_supervisor("orchestrator.runtime.training", tmp_path, {})
    assert marks.read_text() == "x"
    (tmp_path / "stop").touch()
    wait_for((tmp_path / "exit.json").exists)
    wait_for(lambda: not is_held(tmp_path / "lock"))
    start_supervisor("orchestrator.runtime.training", tmp_path, {})
    assert marks.read_text() == "x", "a job that is over is not run again"


@pytest.mark.parametrize("how", ISOLATIONS)
def test_after_the_supervisor_is_killed_the_job_runs_once_more_and_never_twice_at_once(
    how: str, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    begin(tmp_path, script(COUNTS.format(marks=str(marks)), tmp_path, isolation=how))
    orphan = (read_json(tmp_path / "process.json") or {})["pid"]
    (tmp_path / "ml/output/ready").unlink()
    os.kill(supervisor_of(tmp_path), signal.SIGKILL)
    wait_for(lambda: not is_held(tmp_path / "lock"))
    start_supervisor("orchestrator.runtime.training", tmp_path, {})
    wait_for((tmp_path / "ml/output/ready").exists)
    assert marks.read_text() == "xx"
    assert not alive(orphan)
    (tmp_path / "stop").touch()
    wait_for((tmp_path / "exit.json").exists)


def test_a_job_whose_machine_keeps_dying_fails_in_the_end(tmp_path: Path) -> None:
    script("1", tmp_path).write(tmp_path)
    (tmp_path / "started.json").write_text('{"attempts": 3, "started": 0}')
    ended = run(tmp_path, script("1", tmp_path))
    assert ended.status == "Failed"
    assert ended.reason.startswith("InternalServerError")


def test_a_registered_command_trains_in_place_of_its_image(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import os; open(os.environ['SAGEMAKER_BASE_DIR'] + '/model/m', 'w').write('1')"]
    ended = run(tmp_path, job("command", command=argv))
    assert ended.status == "Completed"
    assert members(tmp_path / "artifacts/model.tar.gz") == ["m"]
