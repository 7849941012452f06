"""Configs that are POSTed to the orchestrator's function of a machine, and followed until their run has ended."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.cli.verbs.provision import invoke
from orchestrator.cli.walk import Walk
from tests.e2e.conftest import Machine, finish

HUB, DEV, STAGING, PROD = "111111111111", "222222222222", "333333333333", "444444444444"


class Workbench:
    """A machine with the breast-cancer data in its assets bucket."""

    def __init__(self, machine: Machine) -> None:
        self.walk: Walk = machine.walk("breast-cancer")
        self.assets: str = machine.outputs["AssetsBucket"]
        self.walk.write_data(self.assets)

    def bucket(self, account: str, name: str) -> str:
        """A bucket of an account."""
        self.walk.client("s3", account).create_bucket(Bucket=name)
        return name

    def share(self, account: str, bucket: str, *accounts: str) -> None:
        """Let roles of other accounts read and write a bucket, as far as their own policies do."""
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": list(accounts)},
            "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.walk.client("s3", account).put_bucket_policy(Bucket=bucket, Policy=policy)

    def keys(self, account: str, bucket: str, prefix: str = "") -> list[str]:
        """The keys that begin so."""
        found = self.walk.client("s3", account).list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def read(self, account: str, bucket: str, key: str) -> str:
        """An object as text."""
        return str(self.walk.client("s3", account).get_object(Bucket=bucket, Key=key)["Body"].read().decode())

    def post(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST the config."""
        event = {"httpMethod": "POST", "path": "/provisionpipeline", "body": json.dumps(body), "isBase64Encoded": False}
        answer = invoke(self.walk.client("lambda"), event)
        return answer["statusCode"], json.loads(answer["body"])

    def run(self, body: dict[str, Any], project: str) -> dict[str, str]:
        """POST the config and follow its run, approving what asks for it; (stage/action) -> last status."""
        status, answer = self.post(body)
        assert status == 200, answer
        return finish(self.walk, project, self.walk.wait_for_run(project))


TRAINING = {
    "name": "training",
    "pipeline_type": "model_training",
    "framework": "xgboost",
    "framework_version": "1.7-1",
    "instance_type": "ml.m5.large",
    "hyperparameters": {"objective": "binary:logistic", "num_round": 20, "eval_metric": "auc", "seed": 7},
    "channels": {
        "train": {"location": "data/breast-cancer/train.csv", "content_type": "text/csv"},
        "validation": {"location": "data/breast-cancer/validation.csv", "content_type": "text/csv"},
    },
}
