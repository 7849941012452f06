"""AWS Step Functions: durable STANDARD state machines."""

from orchestrator.local.services.states.service import StepFunctions

SERVICE = StepFunctions
