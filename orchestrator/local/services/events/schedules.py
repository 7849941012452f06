"""The clock of scheduled rules: one persisted task for each."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from orchestrator.local.services.events.arn import rule_arn
from orchestrator.local.services.events.router import Router
from orchestrator.local.services.events.schedule import parse
from orchestrator.local.store import Document, Key

SCHEDULE_TASK = "events.schedule"
FIRINGS = uuid.UUID("3a5d7a2e-22b5-5c0d-8a0e-0d4c4b1f6f11")
"""Event ids are made from the rule and the time it was due, so that a firing is the same after a crash."""


class Clock:
    """Fires scheduled rules. What was due while the embedded AWS was down fires once when it is up again."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._world = router.world
        router.world.tasks.register(SCHEDULE_TASK, self._tick, by_clock=True)

    def set(self, key: Key, rule: Document) -> None:
        """(Re)start the schedule of a rule that is being put or enabled; writes the rule. Part of a transaction."""
        now = self._world.now()
        rule["next"] = parse(rule["schedule"]).after(now) if rule.get("schedule") else None
        self._router.store.put(key, rule)
        if rule["next"] is not None and rule["state"] == "ENABLED":
            self._world.tasks.schedule(SCHEDULE_TASK, key, rule["next"] - now)

    def _tick(self, key: Key) -> float | None:
        store, now = self._router.store, self._world.now()
        with store.transaction():
            rule = store.get(key)
            if rule is None or rule["state"] != "ENABLED" or rule.get("next") is None:
                return None
            if rule["next"] <= now:
                self._router.queue(key, rule, self._event(key, rule))
                rule["next"] = parse(rule["schedule"]).after(now)
                store.put(key, rule)
            return max(0.0, rule["next"] - now) if rule["next"] is not None else None

    def _event(self, key: Key, rule: Document) -> Document:
        arn = rule_arn(key.region, key.account, rule["bus"], rule["name"])
        return {
            "version": "0",
            "id": str(uuid.uuid5(FIRINGS, f"{arn}@{rule['next']}")),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": key.account,
            "time": datetime.fromtimestamp(rule["next"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": key.region,
            "resources": [arn],
            "detail": {},
        }
