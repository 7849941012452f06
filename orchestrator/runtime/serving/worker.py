"""The model process: loads the model, then serves it on a socket its supervisor has opened."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from orchestrator.runtime.serving.contract import CannotServe, Handler
from orchestrator.runtime.serving.spec import Serving


def load(serving: Serving, base: Path, environment: Mapping[str, str]) -> Handler:
    """The handler of the model whose ``/opt/ml`` is ``base``; raises CannotServe or what the user's code raises."""
    from orchestrator.runtime.containers import Container

    if serving.kind == "none":
        from orchestrator.runtime.serving.rehearsal import Rehearsal, check_paths

        check_paths(base, environment)
        return Rehearsal(serving.image, serving.reason)
    if serving.kind == "xgboost" and not environment.get("SAGEMAKER_PROGRAM"):
        from orchestrator.runtime.serving.xgboost_model import XGBoostModel

        version = Container(serving.image, serving.kind, serving.tag).version
        return XGBoostModel(base / "model", version, environment)
    from orchestrator.runtime.serving import user_module

    return user_module.load(serving.kind, base, environment)


def serve(handler: Handler, listener: socket.socket, environment: Mapping[str, str]) -> None:
    """Answer on the socket until SIGTERM."""
    import uvicorn

    from orchestrator.runtime.serving.app import LARGEST_BODY, Application
    from orchestrator.runtime.serving.runner import BatchRunner, Runner
    from orchestrator.runtime.serving.user_module import UserModel

    batches = isinstance(handler, UserModel) and handler.batches
    runner = BatchRunner(handler) if batches and isinstance(handler, UserModel) else Runner(handler)
    application = Application(runner, int(environment.get("SAGEMAKER_MAX_REQUEST_SIZE", LARGEST_BODY)))
    fast = importlib.util.find_spec("uvloop") and importlib.util.find_spec("httptools")
    configuration = uvicorn.Config(
        application,
        loop="uvloop" if fast else "asyncio",
        http="httptools" if fast else "h11",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=120,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(configuration).run(sockets=[listener])


def main() -> None:
    """Load and serve; a model that does not load leaves the reason in ``failure`` and exit code 3."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.runtime.serving.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--socket", type=int, required=True)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    base = Path(os.environ["SAGEMAKER_BASE_DIR"])
    try:
        handler = load(Serving.read(folder), base, os.environ)
    except BaseException as error:
        if not isinstance(error, CannotServe):
            traceback.print_exc()
        told = str(error) if isinstance(error, CannotServe) else f"{type(error).__name__}: {error}"
        print(f"The model does not load: {told}", flush=True)
        (folder / "failure").write_text(told)
        sys.exit(3)
    serve(handler, socket.socket(fileno=arguments.socket), os.environ)


if __name__ == "__main__":
    main()
