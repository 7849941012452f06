"""SageMaker: a control plane along the botocore model, and training jobs and endpoints that are real processes."""

from orchestrator.local.services.sagemaker.service import SageMaker

SERVICE = SageMaker
