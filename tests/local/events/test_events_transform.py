"""What targets receive, as a table of targets and texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.local.services.events.transform import InvalidInput, Occasion, check, render

EVENT = {
    "version": "0",
    "id": "7bf73129",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "123456789012",
    "time": "2015-11-11T21:29:54Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-0123"],
    "detail": {"instance-id": "i-0123", "state": 'RUN"NING', "count": 3, "tags": ["a", "b"], "more": {"x": "y"}},
}
OCCASION = Occasion(EVENT, "arn:aws:events:us-east-1:123456789012:rule/example", "example", "2015-11-11T21:29:55Z")
PATHS = {
    "instance": "$.detail.instance-id",
    "state": "$.detail.state",
    "count": "$.detail.count",
    "tags": "$.detail.tags",
    "second": "$.detail.tags[1]",
    "more": "$.detail.more",
    "type": "$.detail-type",
    "gone": "$.detail.gone.deeper",
    "resource": "$.resources[0]",
}


def transformer(template: str) -> dict[str, Any]:
    return {"Id": "1", "InputTransformer": {"InputPathsMap": PATHS, "InputTemplate": template}}


@pytest.mark.parametrize("target, expected", [
    ({"Id": "1"}, json.dumps(EVENT, separators=(",", ":"))),
    ({"Id": "1", "Input": '{"a":  1}'}, '{"a":  1}'),
    ({"Id": "1", "InputPath": "$.detail.more"}, '{"x":"y"}'),
    ({"Id": "1", "InputPath": "$.detail.instance-id"}, '"i-0123"'),
    ({"Id": "1", "InputPath": "$.detail-type"}, '"EC2 Instance State-change Notification"'),
    ({"Id": "1", "InputPath": "$.detail.gone"}, '""'),
    (transformer('"instance <instance> is <count>"'), '"instance i-0123 is 3"'),
    (transformer('"a \\"<instance>\\" b"'), '"a \\"i-0123\\" b"'),
    (transformer('{"i": <instance>, "s": <state>}'), '{"i": "i-0123", "s": "RUN\\"NING"}'),
    (transformer('{"i": "<instance>", "s": "it is <state>!"}'), '{"i": "i-0123", "s": "it is RUN\\"NING!"}'),
    (transformer('{"l": [9, <count>, true], "t": <tags>}'), '{"l": [9, 3, true], "t": ["a","b"]}'),
    (transformer('{"second": <second>, "r": <resource>}'),
     '{"second": "b", "r": "arn:aws:ec2:us-east-1:123456789012:instance/i-0123"}'),
    (transformer('{"m": <more>, "text": "<more>"}'), '{"m": {"x":"y"}, "text": "{\\"x\\":\\"y\\"}"}'),
    (transformer('{"t": "<tags>"}'), '{"t": "[a,b]"}'),
    (transformer('{"g": <gone>, "h": "<gone>"}'), '{"g": "", "h": ""}'),
    (transformer('"line one <instance>"\n"line two"'), '"line one i-0123"\n"line two"'),
    (transformer("<count>"), "3"),
    (transformer('{"a": <aws.events.rule-arn>, "n": "<aws.events.rule-name>", "t": <aws.events.event.ingestion-time>}'),
     '{"a": "arn:aws:events:us-east-1:123456789012:rule/example", "n": "example", "t": "2015-11-11T21:29:55Z"}'),
])  # fmt: skip
def test_render(target: dict[str, Any], expected: str) -> None:
    check(target)
    assert render(target, OCCASION) == expected


def test_the_whole_event_can_stand_in_a_template() -> None:
    target = transformer('{"full": <aws.events.event.json>, "short": <aws.events.event>}')
    filled = json.loads(render(target, OCCASION))
    assert filled["full"] == EVENT
    assert "detail" not in filled["short"]
    assert filled["short"]["detailType"] == EVENT["detail-type"]


@pytest.mark.parametrize("target, reason", [
    ({"Input": "{}", "InputPath": "$"}, "Only one of Input, InputPath, or InputTransformer"),
    ({"Input": "{"}, "JSON syntax error in input for target 1"),
    ({"InputPath": "detail"}, "not a JSON path"),
    ({"InputPath": "$['detail']"}, "not a JSON path"),
    (transformer('"<what>"'), "InputTemplate for target 1 contains invalid placeholder what."),
    (transformer('{"a": <instance>'), "must be valid JSON"),
    (transformer("plain text <instance>"), "must be valid JSON"),
    ({"InputTransformer": {"InputPathsMap": {"AWS.x": "$.id"}, "InputTemplate": "1"}}, "beginning with AWS"),
])  # fmt: skip
def test_refused(target: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check({"Id": "1", **target})
    assert reason in str(caught.value)
