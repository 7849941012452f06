"""The CloudWatch API: what is not here (dashboards, streams, detectors, composite alarms) is refused by name."""

from __future__ import annotations

from orchestrator.local.services.cloudwatch.alarms import AlarmOperations
from orchestrator.local.services.cloudwatch.metrics import MetricOperations


class CloudWatch(AlarmOperations, MetricOperations):
    """Metrics and metric alarms."""
