"""From ``git commit`` to a function, by EventBridge, on the whole embedded AWS."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

FUNCTION = """
import boto3, json

def handler(event, context):
    detail = event["detail"]
    where = {"repositoryName": detail["repositoryName"], "commitSpecifier": detail["commitId"]}
    found = boto3.client("codecommit").get_file(filePath="mlops-config.json", **where)
    boto3.client("s3").put_object(Bucket="seen", Key=detail["commitId"], Body=found["fileContent"])
"""
ROLE = "arn:aws:iam::111111111111:role/function"


def commit(folder: Path, text: str) -> str:
    (folder / "mlops-config.json").write_text(text)
    who = {
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for arguments in (["add", "."], ["commit", "-qm", "x"]):
        subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who}, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()


def test_a_commit_reaches_a_function(aws: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["git", "init", "-q", "-b", "main", str(copy)], check=True)
    aws.services["codecommit"].control("link", "POST", {"account": "orchestrator", "name": "r", "path": str(copy)})
    s3, events, functions = (aws.client(service) for service in ("s3", "events", "lambda"))
    s3.create_bucket(Bucket="seen")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("app.py", FUNCTION)
    arn = functions.create_function(
        FunctionName="f", Runtime="python3.12", Role=ROLE, Handler="app.handler", Timeout=30,
        Code={"ZipFile": buffer.getvalue()},
    )["FunctionArn"]  # fmt: skip
    pattern = {"source": ["aws.codecommit"], "detail": {"event": ["referenceCreated", "referenceUpdated"]}}
    rule = events.put_rule(Name="commits", EventPattern=json.dumps(pattern))["RuleArn"]
    functions.add_permission(
        FunctionName="f",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_targets(Rule="commits", Targets=[{"Id": "f", "Arn": arn}])
    made = [commit(copy, '{"n": 1}'), ""]
    wait_for_objects(s3, 1)
    made[1] = commit(copy, '{"n": 2}')
    assert wait_for_objects(s3, 2) == sorted(made)
    assert s3.get_object(Bucket="seen", Key=made[1])["Body"].read() == b'{"n": 2}'


def wait_for_objects(s3: Any, count: int) -> list[str]:
    for _ in range(600):
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket="seen").get("Contents", [])]
        if len(keys) >= count:
            return keys
        time.sleep(0.05)
    raise AssertionError("the commit did not arrive within 30 seconds")
