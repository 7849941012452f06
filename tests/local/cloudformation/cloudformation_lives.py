"""A CloudFormation that can die at any call, on top of a running embedded AWS.

Its world meets a fate: a call has its effect (or not), its answer is never seen, and no call goes through any more
until a new process (here: a new world and a new service on the same home) takes over. That is what ``kill -9``
between an effect and its record looks like.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import EndpointConnectionError
from cloudformation_rig import REGION

from orchestrator.local.service import Call
from orchestrator.local.services.cloudformation import CloudFormation
from orchestrator.local.world import World

PATIENCE_SECONDS = 60.0


class Fate:
    """How many calls a world may still make before it dies, and whether the last one has its effect."""

    def __init__(self, calls: int | None, effect: bool) -> None:
        self.calls = calls
        self.effect = effect
        self.dead = False

    def meet(self, call: Any, arguments: dict[str, Any]) -> Any:
        if self.dead:
            raise EndpointConnectionError(endpoint_url="http://dead")
        if self.calls is not None:
            self.calls -= 1
            if self.calls <= 0:
                self.dead = True
                if self.effect:
                    call(**arguments)
                raise EndpointConnectionError(endpoint_url="http://dying")
        return call(**arguments)


class MortalClient:
    """A boto3 client whose calls meet their fate."""

    def __init__(self, client: Any, fate: Fate) -> None:
        self._client = client
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if name == "get_paginator":
            return member
        return lambda **arguments: self._fate.meet(member, arguments)


class MortalWorld(World):
    """A world on the services of another, that dies as its fate says."""

    def __init__(self, home: Path, under: World, fate: Fate) -> None:
        super().__init__(home, under.endpoint, under.accounts, under.region)
        self._under = under
        self.fate = fate
        self.ahead = 0.0

    def now(self) -> float:
        """The time, or a later one: for what only happens after minutes."""
        return super().now() + self.ahead

    def client(self, service: str, account: str, region: str, role_arn: str = "") -> Any:
        return MortalClient(self._under.client(service, account, region, role_arn), self.fate)

    def emit(self, *arguments: Any, **members: Any) -> None:
        if self.fate.dead:
            raise EndpointConnectionError(endpoint_url="http://dead")


class Lives:
    """One CloudFormation over many lives, in one account."""

    def __init__(self, home: Path, under: World, account: str, seed: int | None) -> None:
        self.home, self.under, self.account = home, under, account
        self.random = random.Random(seed)
        self.mortal = seed is not None
        self.deaths = 0
        self._begin()

    def _begin(self) -> None:
        calls = self.random.randint(1, 6) if self.mortal else None
        self.world = MortalWorld(self.home, self.under, Fate(calls, self.random.random() < 0.7))
        self.service = CloudFormation(self.world)
        self.service.recover()
        self.world.tasks.start()

    def end(self) -> None:
        self.world.tasks.stop()
        self.world.store.close()

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation; a request whose answer is lost is made again with its token."""
        call = Call(self.account, REGION, self.account, "request", {})
        answer: dict[str, Any] = getattr(self.service, operation)(call, parameters)
        return answer

    def rest(self, stack: str) -> str:
        """Let lives pass until the stack is at rest; its status."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.world.fate.dead:
                self.deaths += 1
                self.end()
                self._begin()
            status = str(self.ask("DescribeStacks", StackName=stack)["Stacks"][0]["StackStatus"])
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.01)
        raise AssertionError(f"{stack} never came to rest: {self.history(stack)}")

    def history(self, stack: str) -> list[str]:
        events = self.ask("DescribeStackEvents", StackName=stack)["StackEvents"]
        return [f"{event['LogicalResourceId']} {event['ResourceStatus']}" for event in reversed(events)]
