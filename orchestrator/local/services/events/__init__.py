"""EventBridge: buses, rules and schedules that really deliver, at least once and in spite of a crash."""

from orchestrator.local.services.events.service import Events

SERVICE = Events
