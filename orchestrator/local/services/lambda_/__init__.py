"""AWS Lambda: Python functions, run by worker processes."""

from orchestrator.local.services.lambda_.service import Lambda

SERVICE = Lambda
