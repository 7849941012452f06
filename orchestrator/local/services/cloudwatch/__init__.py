"""CloudWatch: metrics, and alarms that are really evaluated and act."""

from orchestrator.local.services.cloudwatch.service import CloudWatch

SERVICE = CloudWatch
