"""What SageMaker's tests share: an account with a role, a bucket and data, and the way to a finished thing."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from typing import Any

import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
VLLM = "763104351884.dkr.ecr.us-east-1.amazonaws.com/vllm:0.30.0-gpu-py312-cu130-ubuntu24.04-sagemaker"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
BUCKET = "ml-data"
WORK = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
    ],
}
"""What a role of SageMaker's may do, where permissions are checked."""
DATA = load_breast_cancer()
ROWS = DATA.data.astype(np.float32)


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def csv(rows: Any) -> str:
    return "\n".join(",".join(map(repr, map(float, row))) for row in rows)


def archive(**files: bytes | str) -> bytes:
    """A ``tar.gz``; in a name ``__`` stands for a dot, ``_in_`` for a slash and ``_dash_`` for a dash."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name.replace("_in_", "/").replace("__", ".").replace("_dash_", "-"))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@cache
def small_booster() -> xgboost.Booster:
    """A model that tells benign from malignant."""
    return xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(ROWS, label=DATA.target), 5)


class Workshop:
    """An account where SageMaker can work, and short words for what tests do over and over."""

    def __init__(self, aws: Any, account: str = "dev") -> None:
        self.aws = aws
        self.account = account
        self.role = self.make_role("sagemaker-role")
        self.s3 = self.client("s3")
        with suppress(self.s3.exceptions.BucketAlreadyExists):  # another account's workshop shares it
            self.s3.create_bucket(Bucket=BUCKET)

    def client(self, service: str) -> Any:
        return self.aws.client(service, account=self.account)

    @property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    def make_role(self, name: str, trust: Any = TRUST) -> str:
        iam = self.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=json.dumps(WORK))
        return str(made["Role"]["Arn"])

    def put(self, key: str, body: bytes | str) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def keys(self, prefix: str) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def listen(self, detail_type: str) -> None:
        """From now on keep events of this type."""
        self.client("sqs").create_queue(QueueName="told")
        rule = {"source": ["aws.sagemaker"], "detail-type": [detail_type]}
        self.client("events").put_rule(Name="jobs", EventPattern=json.dumps(rule))
        arn = f"arn:aws:sqs:us-east-1:{self.aws.account(self.account)}:told"
        self.client("events").put_targets(Rule="jobs", Targets=[{"Id": "queue", "Arn": arn}])

    def told(self, least: int) -> list[dict[str, Any]]:
        """The events that came, once there are so many."""
        sqs, events = self.client("sqs"), list[dict[str, Any]]()
        queue = sqs.get_queue_url(QueueName="told")["QueueUrl"]

        def all_told() -> bool:
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            events.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
            return len(events) >= least

        wait_for(all_told)
        return events

    # training

    def request(self, name: str = "job", **changes: Any) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            "HyperParameters": {"num_round": "5", "objective": "binary:logistic", "eval_metric": "error"},
            "InputDataConfig": [channel("train", self.cancer)],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **changes,
        }

    def script(self, text: str, name: str = "job", **changes: Any) -> dict[str, Any]:
        source = self.put(f"code/{name}.tar.gz", archive(train__py=text))
        parameters = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": json.dumps(source)}
        specification = {"TrainingImage": SKLEARN, "TrainingInputMode": "File"}
        return self.request(
            name,
            **{
                "AlgorithmSpecification": specification,
                "HyperParameters": parameters,
                "InputDataConfig": [],
                **changes,
            },
        )

    @cached_property
    def cancer(self) -> str:
        """The training data: label first, no header."""
        return self.put("data/train.csv", csv(np.column_stack([DATA.target, DATA.data])))

    def begin(self, request: dict[str, Any]) -> str:
        self.sagemaker.create_training_job(**{k: v for k, v in request.items() if v != []})
        return str(request["TrainingJobName"])

    def finished(self, name: str = "job") -> dict[str, Any]:
        def done() -> Any:
            job = self.sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return dict(wait_for(done))

    def secondary(self, name: str = "job") -> str:
        return str(self.sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"])

    # endpoints

    def model(self, name: str = "model", booster: xgboost.Booster | None = None, **container: Any) -> str:
        if not container:
            data = archive(xgboost_dash_model=bytes((booster or small_booster()).save_raw("ubj")))
            container = {"Image": XGBOOST, "ModelDataUrl": self.put(f"models/{name}.tar.gz", data)}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer=container)
        return name

    def config(self, name: str = "config", models: dict[str, str] | None = None, **members: Any) -> str:
        chosen = models or {"AllTraffic": "model"}
        variants = [variant(variant_name, model) for variant_name, model in chosen.items()]
        self.sagemaker.create_endpoint_config(**{"EndpointConfigName": name, "ProductionVariants": variants, **members})
        return name

    def endpoint(self, name: str = "endpoint", config: str = "config") -> dict[str, Any]:
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return self.settled(name)

    def settled(self, name: str = "endpoint") -> dict[str, Any]:
        def done() -> Any:
            endpoint = self.sagemaker.describe_endpoint(EndpointName=name)
            return endpoint if endpoint["EndpointStatus"] in ("InService", "Failed") else None

        return dict(wait_for(done))

    def invoke(self, rows: Any = ROWS[:3], name: str = "endpoint", **parameters: Any) -> Any:
        request = {"Body": csv(rows), "ContentType": "text/csv", **parameters}
        return self.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, **request)

    def predictions(self, rows: Any = ROWS[:3], name: str = "endpoint") -> list[float]:
        return [float(line) for line in self.invoke(rows, name)["Body"].read().split()]

    def messages(self, group: str) -> list[str]:
        """Every line of a log group."""
        logs = self.client("logs")
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return []
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]


def variant(name: str, model: str, **members: Any) -> dict[str, Any]:
    return {
        "VariantName": name, "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **members
    }  # fmt: skip


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}
