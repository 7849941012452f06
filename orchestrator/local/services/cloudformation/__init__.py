"""CloudFormation: durable stacks with events, rollback, replacement and change sets.

A request is checked as far as it can be, written down, and answered; the stack's task then brings it forward one
step at a time, and each resource's task makes the calls to the other services. What a template may say is in
``language``, what resource types have is in ``schema``, how they are made in ``providers``, the life of operations
in ``engine``, and the API in ``api``.
"""

from orchestrator.local.services.cloudformation.api.stack_sets import StackSetOperations


class CloudFormation(StackSetOperations):
    """All operations of the service."""


SERVICE = CloudFormation
