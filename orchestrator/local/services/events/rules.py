"""Operations on rules and their targets."""

from __future__ import annotations

import json

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.events import pattern, schedule, transform
from orchestrator.local.services.events.arn import rule_arn
from orchestrator.local.services.events.operations import PRINCIPAL, Operations, page, tags_of
from orchestrator.local.services.events.router import check_target
from orchestrator.local.store import Document, Key

MOST_TARGETS = 5
"""Of one rule, https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html."""
EVENT_MEMBERS = ("id", "detail-type", "source", "account", "time", "region", "resources", "detail")


class RuleOperations(Operations):
    """The part of the API that is about rules."""

    def PutRule(self, call: Call, parameters: Document) -> Document:
        bus = self.bus_name(call, parameters)
        _check_rule(parameters, bus)
        key = self.rule_key(call, bus, parameters["Name"])
        with self.store.transaction():
            old = self.store.get(key) or {"targets": {}, "tags": tags_of(parameters.get("Tags", []))}
            rule = {
                "name": parameters["Name"],
                "bus": bus,
                "pattern": parameters.get("EventPattern"),
                "schedule": parameters.get("ScheduleExpression"),
                "state": parameters.get("State", "ENABLED"),
                "description": parameters.get("Description"),
                "role": parameters.get("RoleArn"),
                "targets": old["targets"],
                "tags": old["tags"],
            }
            self.clock.set(key, rule)
        return {"RuleArn": _arn(key, rule)}

    def DescribeRule(self, call: Call, parameters: Document) -> Document:
        key, rule = self._rule(call, parameters)
        return {**_summary(key, rule), "CreatedBy": call.account}

    def ListRules(self, call: Call, parameters: Document) -> Document:
        bus = self.bus_name(call, parameters)
        rules = self._rules(call, bus, parameters.get("NamePrefix", ""))
        shown, more = page(rules, parameters)
        return {"Rules": [_summary(key, rule) for key, rule in shown], **more}

    def ListRuleNamesByTarget(self, call: Call, parameters: Document) -> Document:
        bus, wanted = self.bus_name(call, parameters), parameters["TargetArn"]
        names = [
            rule["name"]
            for _, rule in self._rules(call, bus)
            if any(target["Arn"] == wanted for target in rule["targets"].values())
        ]
        shown, more = page(names, parameters)
        return {"RuleNames": shown, **more}

    def DeleteRule(self, call: Call, parameters: Document) -> None:
        key = self.rule_key(call, self.bus_name(call, parameters), parameters["Name"])
        with self.store.transaction():
            rule = self.store.get(key)
            if rule and rule["targets"]:
                raise ServiceError("ValidationException", "Rule can't be deleted since it has targets.")
            self.store.delete(key)  # that there is none is fine

    def EnableRule(self, call: Call, parameters: Document) -> None:
        self._set_state(call, parameters, "ENABLED")

    def DisableRule(self, call: Call, parameters: Document) -> None:
        self._set_state(call, parameters, "DISABLED")

    def _set_state(self, call: Call, parameters: Document, state: str) -> None:
        with self.store.transaction():
            key, rule = self._rule(call, parameters)
            if rule["state"] != state:
                self.clock.set(key, {**rule, "state": state})

    # --- targets

    def PutTargets(self, call: Call, parameters: Document) -> Document:
        for target in parameters["Targets"]:
            self._check_target(target, call.region)
        with self.store.transaction():
            key, rule = self._rule(call, parameters, "Rule")
            targets = {**rule["targets"], **{target["Id"]: target for target in parameters["Targets"]}}
            if len(targets) > MOST_TARGETS:
                message = f"The requested resource exceeds the maximum number allowed: {MOST_TARGETS} targets a rule."
                raise ServiceError("LimitExceededException", message)
            own_bus = f":event-bus/{rule['bus']}"
            if any(target["Arn"].endswith(f"{key.region}:{key.account}{own_bus}") for target in targets.values()):
                raise ServiceError("ValidationException", "A rule's own event bus cannot be its target.")
            self.store.put(key, {**rule, "targets": targets})
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def _check_target(self, target: Document, region: str) -> None:
        if fault := check_target(target, self.router.targets, region):
            raise ServiceError("ValidationException", fault)
        if (role := target.get("RoleArn")) and self.trust.fault(role, PRINCIPAL):
            message = f"Provided role '{role}' cannot be assumed by principal '{PRINCIPAL}'."
            raise ServiceError("ValidationException", message)
        try:
            transform.check(target)
        except transform.InvalidInput as problem:
            raise ServiceError("ValidationException", str(problem)) from None

    def RemoveTargets(self, call: Call, parameters: Document) -> Document:
        failed = []
        with self.store.transaction():
            key, rule = self._rule(call, parameters, "Rule")
            for identity in parameters["Ids"]:
                if rule["targets"].pop(identity, None) is None:
                    message = f"Rule {rule['name']} has no target {identity}."
                    code = "ResourceNotFoundException"
                    failed.append({"TargetId": identity, "ErrorCode": code, "ErrorMessage": message})
            self.store.put(key, rule)
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    def ListTargetsByRule(self, call: Call, parameters: Document) -> Document:
        shown, more = page(list(self._rule(call, parameters, "Rule")[1]["targets"].values()), parameters)
        return {"Targets": shown, **more}

    # --- patterns

    def TestEventPattern(self, call: Call, parameters: Document) -> Document:  # noqa: ARG002
        wanted = _parse_pattern(parameters["EventPattern"])
        try:
            event = json.loads(parameters["Event"])
        except ValueError:
            event = None
        missing = [member for member in EVENT_MEMBERS if member not in event] if isinstance(event, dict) else None
        if missing is None or missing:
            reason = f"{', '.join(missing)} missing" if missing else "not a JSON object"
            raise ServiceError("ValidationException", f"Parameter Event is not valid. Reason: {reason}.")
        return {"Result": pattern.matches(wanted, event)}

    # --- finding rules

    def _rules(self, call: Call, bus: str, prefix: str = "") -> list[tuple[Key, Document]]:
        found = self.store.list(self.name, "Rule", call.account, call.region, f"{bus}/{prefix}")
        return sorted(((key, rule) for key, rule in found if rule["bus"] == bus), key=lambda pair: pair[0].name)

    def _rule(self, call: Call, parameters: Document, member: str = "Name") -> tuple[Key, Document]:
        bus = self.bus_name(call, parameters)
        key = self.rule_key(call, bus, parameters[member])
        rule = self.store.get(key)
        if rule is None:
            message = f"Rule {parameters[member]} does not exist on EventBus {bus}."
            raise ServiceError("ResourceNotFoundException", message)
        return key, rule


def _arn(key: Key, rule: Document) -> str:
    return rule_arn(key.region, key.account, rule["bus"], rule["name"])


def _summary(key: Key, rule: Document) -> Document:
    members = {
        "Name": rule["name"],
        "Arn": _arn(key, rule),
        "EventPattern": rule["pattern"],
        "ScheduleExpression": rule["schedule"],
        "State": rule["state"],
        "Description": rule["description"],
        "RoleArn": rule["role"],
        "EventBusName": rule["bus"],
    }
    return {name: value for name, value in members.items() if value is not None}


def _parse_pattern(text: str) -> Document:
    try:
        return pattern.parse(text)
    except pattern.InvalidPattern as problem:
        raise ServiceError("InvalidEventPatternException", str(problem)) from None


def _check_rule(parameters: Document, bus: str) -> None:
    expression = parameters.get("ScheduleExpression")
    if not parameters.get("EventPattern") and not expression:
        message = "Parameter(s) EventPattern or ScheduleExpression must be specified."
        raise ServiceError("ValidationException", message)
    if parameters.get("State", "ENABLED") not in ("ENABLED", "DISABLED"):
        raise ServiceError(
            "ValidationException", f"The embedded AWS has no CloudTrail for State {parameters['State']}."
        )
    if parameters.get("EventPattern"):
        _parse_pattern(parameters["EventPattern"])
    if expression and bus != "default":
        raise ServiceError("ValidationException", "ScheduleExpression is supported only on the default event bus.")
    if expression:
        try:
            schedule.parse(expression)
        except schedule.InvalidSchedule as problem:
            message = f"Parameter ScheduleExpression is not valid. Reason: {problem}."
            raise ServiceError("ValidationException", message) from None
