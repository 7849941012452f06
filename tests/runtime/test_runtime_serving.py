"""Model servers as processes: what they answer, when they fail, how they come back."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from orchestrator.runtime import isolation
from orchestrator.runtime.process import is_held, read_json, start_supervisor
from orchestrator.runtime.serving.spec import Serving, State

DATA = load_breast_cancer()
ROWS = DATA.data.astype(np.float32)


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def archive(folder: Path, **files: bytes | str) -> None:
    """Write ``model.tar.gz``; in a name, ``__`` stands for a dot and ``_in_`` for a slash."""
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name.replace("_in_", "/").replace("__", ".").replace("=", "-"))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def booster(objective: str = "binary:logistic", target: Any = DATA.target, **parameters: Any) -> xgboost.Booster:
    matrix = xgboost.DMatrix(ROWS, label=target)
    return xgboost.train({"objective": objective, "max_depth": 3, **parameters}, matrix, 8)


def saved(model: xgboost.Booster) -> bytes:
    return bytes(model.save_raw("ubj"))


class Server:
    """A running model server, and calls to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def state(self) -> State:
        state = State.read(self.folder)
        assert state is not None
        return state

    def begin(self) -> None:
        start_supervisor("orchestrator.runtime.serving", self.folder, {"AWS_REGION": "eu-west-1"})

    def settle(self) -> State:
        def settled() -> State | None:
            state = State.read(self.folder)
            return state if state and state.phase in ("ready", "failed") else None

        return wait_for(settled)

    def call(self, body: bytes | str = b"", content_type: str = "text/csv", accept: str = "",
             path: str = "/invocations", method: str = "POST") -> tuple[int, str, str]:  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self.state.port, timeout=20)
        headers = {"Content-Type": content_type, **({"Accept": accept} if accept else {})}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, response.getheader("Content-Type") or "", text

    def model_process(self) -> int:
        """The process id of the model's process; 0 between two of them."""
        return int((read_json(self.folder / "process.json") or {}).get("pid", 0))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server for what was put in the folder; it is stopped at the end of the test."""
    server = Server(tmp_path)

    def start(kind: str, **members: Any) -> Server:
        members = {"isolation": "prefix", "startup_seconds": 20, **members}
        Serving(name="endpoint/AllTraffic", image="image", kind=kind, **members).write(tmp_path)
        server.begin()
        server.settle()
        return server

    yield start
    (tmp_path / "stop").touch()
    wait_for(lambda: not is_held(tmp_path / "lock"))
    assert not is_held(tmp_path / "process.lock"), "a process was left behind"


def csv(rows: Any) -> str:
    return "\n".join(",".join(map(str, row)) for row in rows.tolist())


def test_xgboost_answers_what_the_model_answers_in_process(serve: Callable[..., Server], tmp_path: Path) -> None:
    model = booster()
    archive(tmp_path, **{"xgboost=model": saved(model)})
    server = serve("xgboost", tag="1.7-1")
    expected = model.predict(xgboost.DMatrix(ROWS[:50]))
    status, content_type, text = server.call(csv(ROWS[:50]))
    assert (status, content_type) == (200, "text/csv; charset=utf-8")
    assert text.endswith("\n")
    assert np.array_equal(np.array(text.split(), dtype=np.float32), expected)
    libsvm = "\n".join(" ".join(f"{i}:{value}" for i, value in enumerate(row)) for row in ROWS[:50].tolist())
    assert server.call(libsvm, "text/libsvm")[2] == text
    status, content_type, answer = server.call(csv(ROWS[:2]), accept="application/json")
    assert content_type == "application/json"
    assert [score["score"] for score in json.loads(answer)["predictions"]] == expected[:2].tolist()
    assert server.call(path="/ping", method="GET")[0] == 200
    assert json.loads(server.call(path="/execution-parameters", method="GET")[2])["MaxPayloadInMB"] == 6


@pytest.mark.parametrize("body, content_type, accept, status, words", [
    ("1,2,spam", "text/csv", "", 415, "please ensure data is in csv format"),
    ("1,2,3", "text/csv", "", 400, "Unable to evaluate payload provided"),
    ('{"instances": [[1]]}', "application/json", "", 415, "Content-type application/json not supported"),
    ("1,2", "text/csv", "image/png", 406, "Accept type image/png is not supported"),
    ("", "text/csv", "", 204, ""),
    ("x" * (6 * 1024 * 1024 + 1), "text/csv", "", 413, "larger than"),
])  # fmt: skip
def test_xgboost_refuses_as_the_image_does(
    body: str, content_type: str, accept: str, status: int, words: str, xgboost_server: Server
) -> None:
    answer = xgboost_server.call(body, content_type, accept)
    assert answer[0] == status
    assert words in answer[2]


@pytest.fixture(scope="module")
def xgboost_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("xgboost")
    archive(folder, **{"xgboost=model": saved(booster())})
    Serving("endpoint/AllTraffic", "image", "xgboost", tag="1.7-1", isolation="prefix").write(folder)
    server = Server(folder)
    server.begin()
    server.settle()
    yield server
    (folder / "stop").touch()
    wait_for(lambda: not is_held(folder / "lock"))


def test_unknown_paths_and_methods(xgboost_server: Server) -> None:
    assert xgboost_server.call(path="/models", method="GET")[0] == 404
    assert xgboost_server.call(path="/invocations", method="GET")[0] == 405


def test_several_model_files_are_averaged_and_classes_are_lists(tmp_path: Path) -> None:
    from orchestrator.runtime.serving.contract import Request
    from orchestrator.runtime.serving.xgboost_model import XGBoostModel

    target = np.arange(len(ROWS)) % 3
    models = [booster("multi:softprob", target, num_class=3, seed=seed, subsample=0.5) for seed in (1, 2)]
    for index, model in enumerate(models):
        (tmp_path / f"xgboost-model-{index}").write_bytes(saved(model))
    expected = np.mean([model.predict(xgboost.DMatrix(ROWS[:2])) for model in models], axis=0)
    answer = XGBoostModel(tmp_path, (1, 7), {}).invoke(Request(csv(ROWS[:2]).encode(), "text/csv"))
    assert [json.loads(line) for line in bytes(answer.body).decode().splitlines()] == expected.tolist()  # type: ignore[arg-type]
    old = XGBoostModel(tmp_path, (1, 2), {}).invoke(Request(csv(ROWS[:2]).encode(), "text/csv"))
    assert bytes(old.body).decode() == ",".join(map(str, expected.tolist()))  # type: ignore[arg-type]


def test_a_pickled_booster_is_a_model_too(tmp_path: Path) -> None:
    import pickle

    from orchestrator.runtime.serving.xgboost_model import load

    model = booster()
    (tmp_path / "xgboost-model").write_bytes(pickle.dumps(model))
    rows = xgboost.DMatrix(ROWS)
    assert np.array_equal(load(tmp_path / "xgboost-model").predict(rows), model.predict(rows))


@pytest.mark.parametrize("files, reason", [
    ({"xgboost=model": "not a model"}, "Model at xgboost-model cannot be loaded"),
    ({"code_in_inference__py": ""}, "the model archive holds no model file"),
])  # fmt: skip
def test_a_model_that_does_not_load_fails_with_the_reason(
    files: dict[str, str], reason: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    archive(tmp_path, **files)
    server = serve("xgboost")
    assert server.state.phase == "failed"
    assert reason in server.state.reason


def test_an_archive_that_is_none_fails_with_the_reason(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"no archive")
    assert "model.tar.gz cannot be unpacked" in serve("xgboost").state.reason


SKLEARN = """
import joblib, os
def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
"""
SCRIPT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}


def classifier() -> tuple[LogisticRegression, bytes]:
    model = LogisticRegression(max_iter=10_000).fit(DATA.data[:, :4], DATA.target)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return model, buffer.getvalue()


@pytest.mark.parametrize("how", ["prefix", "bwrap"] if isolation.available() else ["prefix"])
def test_sklearn_answers_what_the_model_answers_in_process(
    how: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    model, content = classifier()
    archive(tmp_path, model__joblib=content, code_in_inference__py=SKLEARN)
    server = serve("sklearn", environment=SCRIPT, isolation=how)
    assert server.state.phase == "ready", server.state.reason
    rows = DATA.data[:20, :4].astype(np.float32)
    expected = model.predict(rows).tolist()
    assert json.loads(server.call(json.dumps(rows.tolist()), "application/json")[2]) == expected
    assert [int(line) for line in server.call(csv(rows), accept="text/csv")[2].split()] == expected
    buffer = io.BytesIO()
    np.save(buffer, rows)
    assert json.loads(server.call(buffer.getvalue(), "application/x-npy")[2]) == expected
    assert server.call("x", "image/png")[0] == 415


def test_sklearn_without_its_script_says_what_the_image_needs(serve: Callable[..., Server], tmp_path: Path) -> None:
    archive(tmp_path, model__joblib=classifier()[1])
    assert "SAGEMAKER_PROGRAM" in serve("sklearn").state.reason


ECHO = """
import json, time
class TooLong(Exception):
    status_code = 422
def model_fn(model_dir):
    return {"calls": 0}
def input_fn(body, content_type):
    if body == "wrong":
        raise ValueError("this is not right")
    if body == "long":
        raise TooLong("too long a word")
    return body
"""
ONE_BY_ONE = (
    ECHO
    + """
def predict_fn(word, model):
    time.sleep(0.005)
    model["calls"] += 1
    return [word, model["calls"]]
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""
)
TOGETHER = (
    ECHO
    + """
def batch_predict_fn(words, model):
    time.sleep(0.02)
    return [[word, len(words)] for word in words]
def output_fn(prediction, accept):
    return json.dumps(prediction)
"""
)
STREAM = """
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    return (word + " " for word in body.split()), "text/plain"
"""


def at_once(server: Server, words: list[str]) -> list[tuple[int, str, str]]:
    answers: dict[str, tuple[int, str, str]] = {}
    threads = [threading.Thread(target=lambda w=word: answers.update({w: server.call(w)})) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[word] for word in words]


def test_the_functions_of_a_script_and_their_errors(serve: Callable[..., Server], tmp_path: Path) -> None:
    archive(tmp_path, code_in_inference__py=ONE_BY_ONE)
    server = serve("sklearn", environment=SCRIPT)
    words = [f"w{index}" for index in range(12)]
    answers = [json.loads(text) for _, _, text in at_once(server, words)]
    assert [word for word, _ in answers] == words
    assert sorted(count for _, count in answers) == list(range(1, 13)), "the model is never called twice at once"
    assert server.call("wrong")[::2] == (500, "this is not right")
    assert server.call("long")[::2] == (422, "too long a word")
    assert "ValueError: this is not right" in (tmp_path / "serve.log").read_text()


def test_requests_that_wait_are_computed_together(serve: Callable[..., Server], tmp_path: Path) -> None:
    archive(tmp_path, code_in_inference__py=TOGETHER)
    server = serve("sklearn", environment=SCRIPT)
    words = [f"w{index}" for index in range(15)]
    answers = at_once(server, [*words, "wrong"])
    assert answers[-1][::2] == (500, "this is not right"), "a wrong request does not spoil its neighbours"
    parsed = [json.loads(text) for _, _, text in answers[:-1]]
    assert [word for word, _ in parsed] == words
    assert max(count for _, count in parsed) > 1
    assert json.loads(server.call("alone")[2]) == ["alone", 1]


def test_a_transform_may_stream(serve: Callable[..., Server], tmp_path: Path) -> None:
    archive(tmp_path, code_in_inference__py=STREAM)
    server = serve("sklearn", environment=SCRIPT)
    assert server.call("one two three") == (200, "text/plain", "one two three ")


@pytest.mark.parametrize("code, reason", [
    ("def input_fn(body, kind): return body", "inference.py has no model_fn"),
    ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("def model_fn(d): raise RuntimeError('weights are missing')", "RuntimeError: weights are missing"),
    ("def model_fn(d): pass\ndef transform_fn(*a): pass\ndef input_fn(*a): pass", "transform_fn cannot stand beside"),
])  # fmt: skip
def test_a_script_that_does_not_load_fails_with_the_reason(
    code: str, reason: str, serve: Callable[..., Server], tmp_path: Path
) -> None:
    archive(tmp_path, code_in_inference__py=code)
    server = serve("sklearn", environment=SCRIPT)
    assert server.state.phase == "failed"
    assert reason in server.state.reason


def test_a_killed_model_process_comes_back_on_its_port_and_is_counted(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    model = booster()
    archive(tmp_path, **{"xgboost=model": saved(model)})
    server = serve("xgboost")
    before, port = server.call(csv(ROWS[:3])), server.state.port
    for count in (1, 2):
        os.kill(server.model_process(), signal.SIGKILL)
        wait_for(lambda wanted=count: server.state.restarts == wanted)
        assert server.state.last_exit == "exit code 137"
        wait_for(lambda: server.state.phase == "ready")
        assert server.state.port == port
        assert server.call(csv(ROWS[:3])) == before
    assert "The model process ended with exit code 137" in (tmp_path / "serve.log").read_text()


def test_a_killed_supervisor_leaves_nothing_and_can_begin_again(serve: Callable[..., Server], tmp_path: Path) -> None:
    import psutil

    archive(tmp_path, **{"xgboost=model": saved(booster())})
    server = serve("xgboost")
    before, orphan = server.call(csv(ROWS[:3])), server.model_process()
    supervisor = next(p for p in psutil.process_iter(["cmdline"])
                      if str(tmp_path) in (p.info["cmdline"] or []) and "--detach" in p.info["cmdline"])  # fmt: skip
    supervisor.kill()
    wait_for(lambda: not is_held(tmp_path / "lock"))
    server.begin()
    wait_for(lambda: server.state.phase == "starting" or server.model_process() not in (0, orphan))
    wait_for(lambda: server.state.phase == "ready")
    assert server.call(csv(ROWS[:3])) == before
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE


def test_an_image_that_cannot_run_is_rehearsed_plainly(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("none", reason="it needs a GPU")
    assert server.call(path="/ping", method="GET")[0] == 200
    status, _, text = server.call("hello")
    assert status == 501
    assert text.startswith("image image cannot run on this machine: it needs a GPU. The endpoint is a rehearsal")


def test_a_rehearsal_checks_paths_into_the_model_data(serve: Callable[..., Server], tmp_path: Path) -> None:
    archive(tmp_path, config__json="{}")
    server = serve("none", environment={"OPTION_MODEL_ID": "/opt/ml/model/llama"})
    assert "OPTION_MODEL_ID names /opt/ml/model/llama" in server.state.reason


def test_a_registered_command_serves_in_place_of_its_image(serve: Callable[..., Server]) -> None:
    program = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"custom")
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Answer).serve_forever()
"""
    assert serve("command", command=[sys.executable, "-c", program]).call("x")[2] == "custom"


def test_a_command_that_ends_at_once_fails_with_its_last_words(serve: Callable[..., Server]) -> None:
    server = serve("command", command=[sys.executable, "-c", "raise SystemExit('no weights here')"])
    assert server.state.phase == "failed"
    assert "exit code 1 before it answered a ping: no weights here" in server.state.reason


def test_a_server_that_never_answers_fails_when_its_time_is_up(serve: Callable[..., Server]) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    server = serve("command", command=argv, startup_seconds=0.5)
    assert server.state.reason == "it did not answer a ping within 0 seconds"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_pytorch_answers_what_the_module_answers_in_process(serve: Callable[..., Server], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    rows = torch.tensor(DATA.data[:5, :4], dtype=torch.float32)
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, rows), buffer)
    archive(tmp_path, model__pt=buffer.getvalue())
    server = serve("pytorch")
    assert server.state.phase == "ready", server.state.reason
    answer = json.loads(server.call(json.dumps(rows.tolist()), "application/json")[2])
    assert np.allclose(answer, module(rows).detach().numpy(), rtol=1e-6)


def test_pytorch_weights_alone_need_a_model_fn(serve: Callable[..., Server], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save(torch.nn.Linear(4, 2).state_dict(), buffer)
    archive(tmp_path, model__pth=buffer.getvalue())
    server = serve("pytorch")
    assert server.state.phase == "failed"
    assert "it is not TorchScript" in server.state.reason
