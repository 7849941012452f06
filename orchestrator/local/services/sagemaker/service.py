"""The service as the gateway sees it: every resource's operations, and the tasks behind them."""

from __future__ import annotations

from orchestrator.local.services.sagemaker import (
    automl_jobs,
    card_exports,
    endpoints,
    processing_jobs,
    training_jobs,
    transform_jobs,
    tuning_jobs,
)
from orchestrator.local.services.sagemaker.automl_life import AutoMLLife
from orchestrator.local.services.sagemaker.capture import TASK as CAPTURE_TASK
from orchestrator.local.services.sagemaker.capture import Capture
from orchestrator.local.services.sagemaker.endpoint_configs import EndpointConfigs
from orchestrator.local.services.sagemaker.endpoint_life import EndpointLife
from orchestrator.local.services.sagemaker.logs import LogShipper
from orchestrator.local.services.sagemaker.model_cards import ModelCards
from orchestrator.local.services.sagemaker.models import Models
from orchestrator.local.services.sagemaker.outbox import Sender
from orchestrator.local.services.sagemaker.packages import Groups, Packages
from orchestrator.local.services.sagemaker.plane import EVENTS_TASK
from orchestrator.local.services.sagemaker.processing_life import ProcessingLife
from orchestrator.local.services.sagemaker.tags import Tags
from orchestrator.local.services.sagemaker.training_life import TrainingLife
from orchestrator.local.services.sagemaker.transform_life import TransformLife
from orchestrator.local.services.sagemaker.tuning_life import TuningLife


class SageMaker(
    automl_jobs.AutoMLJobs,
    transform_jobs.TransformJobs,
    processing_jobs.ProcessingJobs,
    Models,
    EndpointConfigs,
    endpoints.Endpoints,
    Groups,
    Packages,
    ModelCards,
    card_exports.ModelCardExports,
    Tags,
):
    """Jobs of training, tuning, AutoML, transform and processing, models, endpoints, the registry.

    All else is refused by name.
    """

    def register_tasks(self) -> None:
        logs, capture = LogShipper(self.world), Capture(self.world)
        self._endpoint_life = EndpointLife(self, logs, capture)
        self.tasks.register(EVENTS_TASK, Sender(self.world).step)
        self.tasks.register(training_jobs.TASK, TrainingLife(self, logs).step, is_work=True)
        self.tasks.register(automl_jobs.TASK, AutoMLLife(self).step, is_work=True)
        self.tasks.register(tuning_jobs.TASK, TuningLife(self).step, is_work=True)
        self.tasks.register(transform_jobs.TASK, TransformLife(self, logs).step, is_work=True)
        self.tasks.register(processing_jobs.TASK, ProcessingLife(self, logs).step, is_work=True)
        self.tasks.register(endpoints.TASK, self._endpoint_life.step)
        self.tasks.register(CAPTURE_TASK, capture.step)
        self.tasks.register(card_exports.TASK, card_exports.ExportLife(self).step)

    def close(self) -> None:
        """End the endpoints' processes; the next start brings them back. Training jobs run on to their end."""
        self._endpoint_life.close()
