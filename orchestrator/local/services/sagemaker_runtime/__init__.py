"""SageMaker's runtime: requests to endpoints, passed on to the processes that serve them."""

from orchestrator.local.services.sagemaker_runtime.service import SageMakerRuntime

SERVICE = SageMakerRuntime
