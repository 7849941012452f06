"""What lies in the hub's dead-letter queue, as `mlops doctor` tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from orchestrator.cli.installing import checks_text
from orchestrator.infra.installation import HUB_STACK, Accounts
from orchestrator.infra.readiness import OK, SKIPPED, WARNING, Check, hub, ready
from orchestrator.local.embedded import EmbeddedAws

HUB = "111111111111"
QUEUE = "acme-orchestrator-dead-letters"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    running = EmbeddedAws(tmp_path / "home")
    running.start()
    yield Accounts(HUB, "us-east-1", {HUB: boto3.Session(HUB, "local")}, running.endpoint)
    running.stop()


def letters(accounts: Accounts) -> Check:
    return next(check for check in hub(accounts) if check.name == "Dead letters")


def install(accounts: Accounts, queue: str) -> None:
    """The part of an installation that is looked at: its prefix and its queue."""
    cloudformation = accounts.client("cloudformation", HUB)
    template = {
        "Parameters": {"NamePrefix": {"Type": "String", "Default": "acme"}},
        "Resources": {"DeadLetters": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": queue}}}},
    }
    cloudformation.create_stack(StackName=HUB_STACK, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=HUB_STACK, WaiterConfig={"Delay": 0.1})


def test_what_nobody_took_is_counted_and_what_to_do_is_said(accounts: Accounts) -> None:
    assert letters(accounts) == Check("Dead letters", OK, "None: nothing is installed.")
    install(accounts, "${NamePrefix}-orchestrator-dead-letters")
    assert letters(accounts) == Check("Dead letters", OK, f"None in {QUEUE}.")

    sqs = accounts.client("sqs", HUB)
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="{}")
    sqs.receive_message(QueueUrl=url)  # one that somebody reads lies there too
    found = letters(accounts)
    assert (found.state, found.found) == (WARNING, f"3 in {QUEUE}: events or calls that nobody took.")
    assert f"--queue-url {url}" in found.fix and "purge-queue" in found.fix
    assert checks_text([found]).startswith(f"! Dead letters: 3 in {QUEUE}")
    assert ready([found])  # a deployment may go on


def test_an_installation_without_the_queue_is_said_to_be_not_looked_at(accounts: Accounts) -> None:
    install(accounts, "other")
    found = letters(accounts)
    assert found.state == SKIPPED and "NonExistentQueue" in found.found
