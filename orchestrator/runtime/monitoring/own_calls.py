"""The calls that monitors make themselves: marked when they are made, and left out where captured calls are looked at.

A monitor that asks the endpoint it watches would otherwise find its own questions among the traffic. The mark is the
beginning of the ``InferenceId``, which SageMaker writes beside every captured call.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

MARK = "mlops-monitor-"


def inference_id() -> str:
    """The id of a call of ours."""
    return f"{MARK}{uuid.uuid4().hex}"


def leave_out(captured: Path) -> int:
    """Take our calls out of the captured files in place; how many files still hold calls of others."""
    return sum(_leave_out(path) for path in sorted(captured.rglob("*")) if path.is_file())


def _leave_out(path: Path) -> bool:
    """Rewrite the file if it holds calls of ours. It goes when it holds no others; whether it stayed."""
    rest = path.with_name(f"{path.name}.rest")
    dropped = False
    with path.open("rb") as calls, rest.open("wb") as target:
        for line in calls:
            if MARK.encode() in line and _is_ours(line):
                dropped = True
            else:
                target.write(line)
    stays = bool(rest.stat().st_size)
    if dropped and stays:
        rest.replace(path)
    else:
        rest.unlink()
        if not stays:
            path.unlink()
    return stays


def _is_ours(line: bytes) -> bool:
    try:
        return str(json.loads(line)["eventMetadata"]["inferenceId"]).startswith(MARK)
    except (ValueError, RecursionError, TypeError, KeyError):
        return False
