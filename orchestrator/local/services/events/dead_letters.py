"""What a dead-letter queue gets of an event that could not be delivered.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

QUEUE = re.compile(r"arn:[\w-]+:sqs:([a-z0-9-]+):\d{12}:[A-Za-z0-9\-_]+")
THROTTLED, SERVER_ERROR = 429, 500
CODES = (
    ("Throttl|TooManyRequests|RequestLimitExceeded", "THROTTLING"),
    ("AccessDenied|AuthorizationError|Unauthorized", "NO_PERMISSIONS"),
    ("NotFound|NoSuch|NonExistent|DoesNotExist", "NO_RESOURCE"),
    ("AlreadyExists", "RESOURCE_ALREADY_EXISTS"),
    ("LimitExceeded", "RESOURCE_LIMIT_EXCEEDED"),
    ("Concurrent|Conflict", "RESOURCE_MODIFICATION_COLLISION"),
    ("Validation|Invalid", "INVALID_PARAMETER"),
)
"""What is in a target's own error code, and the code that the queue is told; the first that fits counts."""


def fault(queue: str, region: str) -> str:
    """What is wrong with the ARN of a dead-letter queue of a rule in a region, or ''. Other accounts may have it."""
    found = QUEUE.fullmatch(queue)
    if found is None:
        return "a dead-letter queue is a standard SQS queue"
    return "" if found[1] == region else f"a dead-letter queue is in the region of its rule, {region}"


def error_code(problem: ClientError) -> str:
    """``ERROR_CODE`` for what a target answered."""
    if problem.operation_name == "AssumeRole":
        return "FAILED_TO_ASSUME_ROLE"
    code = problem.response["Error"]["Code"]
    for words, told in CODES:
        if re.search(words, code):
            return told
    status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if status == THROTTLED:
        return "THROTTLING"
    return "INTERNAL_ERROR" if status >= SERVER_ERROR else "SDK_CLIENT_ERROR"


def attributes(rule: str, target: str, problem: ClientError, exhausted: str, retries: int) -> dict[str, str]:
    """The attributes of the message; ``exhausted`` is the limit that ended the attempts, '' when none was made again.

    ``rule`` and ``target`` are ARNs.
    """
    return {
        "RULE_ARN": rule,
        "TARGET_ARN": target,
        "ERROR_CODE": error_code(problem),
        "ERROR_MESSAGE": problem.response["Error"]["Message"] or "-",
        **({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {}),
        "RETRY_ATTEMPTS": str(retries),
    }
