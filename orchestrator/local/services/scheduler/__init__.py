"""EventBridge Scheduler: schedules that really start things, once for each time, in spite of a crash."""

from orchestrator.local.services.scheduler.service import Scheduler

SERVICE = Scheduler
