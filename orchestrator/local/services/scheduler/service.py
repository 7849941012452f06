"""The API of EventBridge Scheduler: schedules. What is not here is refused by name."""

from __future__ import annotations

import math
import uuid

from botocore.exceptions import ClientError

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.scheduler import targets
from orchestrator.local.services.scheduler.firing import plan_of, schedule_arn
from orchestrator.local.services.scheduler.groups import DEFAULT, GroupOperations, page
from orchestrator.local.services.scheduler.timing import InvalidTiming, Once, parse
from orchestrator.local.store import Document, Key

PRINCIPAL = "scheduler.amazonaws.com"


class Scheduler(GroupOperations):
    """Schedules and their groups."""

    def CreateSchedule(self, call: Call, parameters: Document) -> Document:
        key = self._schedule_key(call, parameters)
        token = parameters.get("ClientToken")
        old = self.store.get(key)
        if old is None or token is None or old["token"] != token:
            self._check(key, parameters, old if old is None else {**old, "expression": ""})
        with self.store.transaction():
            self.group(key._replace(type="ScheduleGroup", name=parameters.get("GroupName", DEFAULT)))
            old = self.store.get(key)
            if old is None:
                self._put(key, parameters, None)
            elif token is None or old["token"] != token:
                raise ServiceError("ConflictException", f"Schedule {parameters['Name']} already exists.")
        return {"ScheduleArn": schedule_arn(key)}

    def UpdateSchedule(self, call: Call, parameters: Document) -> Document:
        """Replaces all settings: what is left out goes back to its default."""
        key = self._schedule_key(call, parameters)
        self._check(key, parameters, self._schedule(key))
        with self.store.transaction():
            self._put(key, parameters, self._schedule(key))
        return {"ScheduleArn": schedule_arn(key)}

    def GetSchedule(self, call: Call, parameters: Document) -> Document:
        key = self._schedule_key(call, parameters)
        schedule = self._schedule(key)
        members = {
            "Arn": schedule_arn(key),
            "GroupName": schedule["group"],
            "Name": schedule["name"],
            "ScheduleExpression": schedule["expression"],
            "ScheduleExpressionTimezone": schedule["timezone"],
            "StartDate": schedule["start"],
            "EndDate": schedule["end"],
            "Description": schedule["description"],
            "State": schedule["state"],
            "CreationDate": schedule["created"],
            "LastModificationDate": schedule["modified"],
            "KmsKeyArn": schedule["key"],
            "Target": _shown_target(schedule["target"]),
            "FlexibleTimeWindow": schedule["window"],
            "ActionAfterCompletion": schedule["after"],
        }
        return {name: value for name, value in members.items() if value is not None}

    def ListSchedules(self, call: Call, parameters: Document) -> Document:
        group = parameters.get("GroupName")
        if group:
            self.group(self.key(call, "ScheduleGroup", group))
        prefix, state = parameters.get("NamePrefix", ""), parameters.get("State")
        found = [
            _summary(key, schedule)
            for key, schedule in sorted(self.store.list(self.name, "Schedule", call.account, call.region))
            if group in (None, schedule["group"])
            and schedule["name"].startswith(prefix)
            and state in (None, schedule["state"])
        ]
        shown, more = page(found, parameters)
        return {"Schedules": shown, **more}

    def DeleteSchedule(self, call: Call, parameters: Document) -> None:
        key = self._schedule_key(call, parameters)
        if not self.store.delete(key):
            raise _missing(parameters["Name"])

    def _schedule_key(self, call: Call, parameters: Document) -> Key:
        return self.key(call, "Schedule", f"{parameters.get('GroupName', DEFAULT)}/{parameters['Name']}")

    def _schedule(self, key: Key) -> Document:
        found = self.store.get(key)
        if found is None:
            raise _missing(key.name.rpartition("/")[2])
        return found

    def _put(self, key: Key, parameters: Document, old: Document | None) -> None:
        """Write a schedule with its next time; one whose times stay the same keeps them. Part of a transaction."""
        now = self.world.now()
        schedule = {
            "name": parameters["Name"],
            "group": parameters.get("GroupName", DEFAULT),
            "expression": parameters["ScheduleExpression"],
            "timezone": parameters.get("ScheduleExpressionTimezone", "UTC"),
            "start": parameters.get("StartDate"),
            "end": parameters.get("EndDate"),
            "description": parameters.get("Description"),
            "state": parameters.get("State", "ENABLED"),
            "key": parameters.get("KmsKeyArn"),
            "target": parameters["Target"],
            "window": parameters["FlexibleTimeWindow"],
            "after": parameters.get("ActionAfterCompletion", "NONE"),
            "token": parameters.get("ClientToken") if old is None else old["token"],
            "created": now if old is None else old["created"],
            "made": str(uuid.uuid4()) if old is None else old["made"],
            "modified": now,
            "anchor": float(math.floor(now)),
        }
        if old is not None and all(schedule[name] == old[name] for name in ("expression", "start")):
            schedule["anchor"] = old["anchor"]
        timing = ("expression", "timezone", "start", "end", "state")
        if old is not None and all(schedule[name] == old[name] for name in timing):
            schedule["next"] = old["next"]
        else:
            plan = plan_of(schedule)
            begins = old is None or schedule["anchor"] != old["anchor"]
            schedule["next"] = plan.first(now) if begins else plan.after(now)
        self.firings.wind(key, schedule)

    def _check(self, key: Key, parameters: Document, old: Document | None) -> None:
        faults = [*self._timing_faults(parameters, old), *_window_faults(parameters)]
        if fault := targets.fault(parameters["Target"]):
            faults.append(fault)
        role = parameters["Target"]["RoleArn"]
        if role.split(":")[4] != key.account:
            faults.append(f"The execution role {role} must be in the schedule's account {key.account}.")
        elif fault := self.trust.fault(role, PRINCIPAL):
            told = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role"
            faults.append(f"{told}: {fault}.")
        if fault := self._key_fault(key, parameters.get("KmsKeyArn", "")):
            faults.append(fault)
        if faults:
            raise ServiceError("ValidationException", " ".join(faults))

    def _key_fault(self, key: Key, kms_key: str) -> str:
        if not kms_key:
            return ""
        try:
            self.world.client("kms", kms_key.split(":")[4], key.region).describe_key(KeyId=kms_key)
        except ClientError as problem:
            return f"The key {kms_key} cannot be used: {problem.response['Error']['Message']}."
        return ""

    def _timing_faults(self, parameters: Document, old: Document | None) -> list[str]:
        faults = []
        start, end, now = parameters.get("StartDate"), parameters.get("EndDate"), self.world.now()
        try:
            expression = parse(parameters["ScheduleExpression"], parameters.get("ScheduleExpressionTimezone", "UTC"))
        except InvalidTiming as problem:
            return [f"Invalid Schedule Expression: {problem}."]
        new = old is None or old["expression"] != parameters["ScheduleExpression"]
        if new and isinstance(expression, Once) and expression.moment < now:
            faults.append(f"Invalid Schedule Expression: {parameters['ScheduleExpression']} has passed.")
        if start is not None and end is not None and start >= end:
            faults.append("StartDate must be before EndDate.")
        if end is not None and end <= now and (old is None or old["end"] != end):
            faults.append("The EndDate you specify must be in the future.")
        return faults


def _window_faults(parameters: Document) -> list[str]:
    window = parameters["FlexibleTimeWindow"]
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        return ["MaximumWindowInMinutes must be given for a FlexibleTimeWindow of mode FLEXIBLE, and only then."]
    return []


def _missing(name: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Schedule {name} does not exist.")


def _shown_target(target: Document) -> Document:
    """A target as AWS shows it: with the retry policy that is in force."""
    policy = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185, **target.get("RetryPolicy", {})}
    return {**target, "RetryPolicy": policy}


def _summary(key: Key, schedule: Document) -> Document:
    return {
        "Arn": schedule_arn(key),
        "Name": schedule["name"],
        "GroupName": schedule["group"],
        "State": schedule["state"],
        "CreationDate": schedule["created"],
        "LastModificationDate": schedule["modified"],
        "Target": {"Arn": schedule["target"]["Arn"]},
    }
