"""What stands for the AWS CLI in a build: ``aws ecr get-login-password``, and else the real one, if it is there."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from orchestrator.runtime.building.stand_ins import REST

SIGN_IN = ["ecr", "get-login-password"]


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    if list(words[:2]) == SIGN_IN:
        return _sign_in(words[2:])
    real = shutil.which("aws", path=os.environ.get(REST))
    if real is None:
        print(
            f"aws {' '.join(words[:2])}: the AWS CLI is not installed on this machine; without it the embedded AWS"
            f" knows `aws {' '.join(SIGN_IN)}` only",
            file=sys.stderr,
        )
        return 252
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # the CLI has its own
    return subprocess.run([real, *words], env=environment, check=False).returncode


def _sign_in(words: Sequence[str]) -> int:
    if len(words) not in (0, 2) or (words and words[0] != "--region"):
        print(f"aws ecr get-login-password: {' '.join(words)} is not supported here", file=sys.stderr)
        return 252
    import boto3

    region = words[1] if words else None
    token = boto3.client("ecr", region_name=region).get_authorization_token()["authorizationData"][0]
    print(base64.b64decode(token["authorizationToken"]).decode().partition(":")[2])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
