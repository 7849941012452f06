"""Cold start of the handler, beside the floor: `import boto3` and one client in a fresh process.

`first answer` serves a POST whose config has a mistake: catalog, schema, validation and the answer, without AWS.
"""

from __future__ import annotations

import json

from bench.measure import Figure, process

FLOOR = "import boto3; boto3.client('s3', region_name='us-east-1', aws_access_key_id='x', aws_secret_access_key='x')"
SETTINGS = {
    "MLOPS_ACCOUNT": "111111111111",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "111111111111",
    "AWS_SECRET_ACCESS_KEY": "local",
    "ASSETS_BUCKET": "mlops-assets-111111111111-us-east-1",
    "ARTIFACT_BUCKET": "mlops-artifacts-111111111111-us-east-1",
    "ARTIFACT_KEY_ARN": "arn:aws:kms:us-east-1:111111111111:key/00000000-0000-4000-8000-000000000000",
    "MLOPS_NOTIFICATIONS_SNS_TOPIC": "arn:aws:sns:us-east-1:111111111111:mlops-notifications",
    "MLOPS_FUNCTION_ARN": "arn:aws:lambda:us-east-1:111111111111:function:mlops-orchestrator",
    "CFN_ROLE_ARN": "arn:aws:iam::111111111111:role/mlops-cloudformation",
}
ENVIRONMENT = f"import os; os.environ.update({SETTINGS!r}); "
CLIENT = "; import boto3; boto3.client('s3')"
EVENT = {
    "httpMethod": "POST",
    "path": "/provisionpipeline",
    "headers": {},
    "body": json.dumps(
        {"version": 2, "model_name": "m", "pipelines": [{"name": "p", "pipeline_type": "model_training"}]}
    ),
    "isBase64Encoded": False,
    "requestContext": {"requestId": "bench"},
}
FIRST = f"""
import orchestrator.handler
class Context:
    aws_request_id = 'bench'
    invoked_function_arn = '{SETTINGS["MLOPS_FUNCTION_ARN"]}'
    function_name = 'mlops-orchestrator'
answer = orchestrator.handler.handler({EVENT!r}, Context())
assert answer['statusCode'] == 400, answer
"""


def run() -> list[Figure]:
    """Import, and import plus first answer, as ratios to the floor."""
    floor = process(FLOOR)
    imported = process(ENVIRONMENT + "import orchestrator.handler" + CLIENT)
    answered = process(ENVIRONMENT + FIRST + CLIENT.removeprefix("; "))
    return [
        Figure("floor: CPU", floor["cpu"] * 1000, "ms", note="boto3 and one client"),
        Figure("handler import + one client: CPU ratio to the floor", imported["cpu"] / floor["cpu"], "×", 1.6),
        Figure("handler import + one client: memory ratio", imported["memory"] / floor["memory"], "×", 1.6),
        Figure("import + first answer + one client: CPU ratio", answered["cpu"] / floor["cpu"], "×"),
        Figure("import + first answer: peak memory", answered["memory"], "MiB", 128),
    ]
