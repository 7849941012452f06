"""The pattern language, as a table of patterns and events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.local.services.events.pattern import InvalidPattern, matches, parse

EVENT = {
    "version": "0",
    "id": "6a7e8feb",
    "source": "aws.s3",
    "detail-type": "Object Created",
    "account": "111111111111",
    "resources": ["arn:aws:s3:::one", "arn:aws:s3:::two"],
    "detail": {
        "bucket": {"name": "config"},
        "object": {"key": "models/a/mlops-config.json", "size": 12, "etag": None},
        "ip": "10.0.1.7",
        "ok": True,
        "empty": [],
        "items": [{"name": "x", "count": 1}, {"name": "y", "count": 5}],
        "star": "a*b",
    },
}


def detail(**members: Any) -> dict[str, Any]:
    return {"detail": members}


@pytest.mark.parametrize("pattern, expected", [
    ({"source": ["aws.s3"]}, True),
    ({"source": ["aws.s3", "aws.sns"]}, True),
    ({"source": ["aws.sns"]}, False),
    ({"source": ["aws.s3"], "detail-type": ["Object Deleted"]}, False),
    ({"resources": ["arn:aws:s3:::two"]}, True),
    (detail(object={"size": [12]}), True),
    (detail(object={"size": [12.0]}), True),
    (detail(object={"size": ["12"]}), False),
    (detail(object={"etag": [None]}), True),
    (detail(object={"nothing": [None]}), False),
    (detail(ok=[True]), True),
    (detail(ok=[1]), False),
    (detail(bucket={"name": [{"prefix": "con"}]}), True),
    (detail(bucket={"name": [{"prefix": "CON"}]}), False),
    (detail(bucket={"name": [{"prefix": {"equals-ignore-case": "CON"}}]}), True),
    (detail(object={"key": [{"suffix": "/mlops-config.json"}]}), True),
    (detail(object={"key": [{"suffix": {"equals-ignore-case": ".JSON"}}]}), True),
    (detail(bucket={"name": [{"equals-ignore-case": "CONFIG"}]}), True),
    (detail(bucket={"name": [{"anything-but": "config"}]}), False),
    (detail(bucket={"name": [{"anything-but": ["a", "b"]}]}), True),
    (detail(object={"size": [{"anything-but": [12, 13]}]}), False),
    (detail(object={"size": [{"anything-but": 13}]}), True),
    (detail(bucket={"other": [{"anything-but": "config"}]}), False),
    (detail(bucket={"name": [{"anything-but": {"prefix": "con"}}]}), False),
    (detail(bucket={"name": [{"anything-but": {"prefix": ["a", "b"]}}]}), True),
    (detail(object={"key": [{"anything-but": {"suffix": [".yaml", ".json"]}}]}), False),
    (detail(bucket={"name": [{"anything-but": {"equals-ignore-case": "CONFIG"}}]}), False),
    (detail(object={"key": [{"anything-but": {"wildcard": "*/mlops-*.json"}}]}), False),
    ({"resources": [{"anything-but": "arn:aws:s3:::one"}]}, True),
    (detail(object={"size": [{"numeric": [">", 10, "<=", 12]}]}), True),
    (detail(object={"size": [{"numeric": ["=", 12]}]}), True),
    (detail(object={"size": [{"numeric": ["<", 12]}]}), False),
    (detail(ip=[{"numeric": ["<", 12]}]), False),
    (detail(ok=[{"numeric": ["=", 1]}]), False),
    (detail(object={"size": [{"exists": True}]}), True),
    (detail(object={"other": [{"exists": True}]}), False),
    (detail(object={"other": [{"exists": False}]}), True),
    (detail(missing={"deep": [{"exists": False}]}), True),
    (detail(object=[{"exists": True}]), False),
    (detail(empty=[{"exists": False}]), True),
    (detail(object={"key": [{"wildcard": "models/*/mlops-config.json"}]}), True),
    (detail(object={"key": [{"wildcard": "models/*"}]}), True),
    (detail(object={"key": [{"wildcard": "*/a"}]}), False),
    (detail(star=[{"wildcard": r"a\*b"}]), True),
    (detail(bucket={"name": [{"wildcard": r"conf\*"}]}), False),
    (detail(ip=[{"cidr": "10.0.0.0/16"}]), True),
    (detail(ip=[{"cidr": "10.0.2.0/24"}]), False),
    (detail(bucket={"name": [{"cidr": "10.0.0.0/16"}]}), False),
    (detail(items={"name": ["x"], "count": [1]}), True),
    (detail(items={"name": ["x"], "count": [5]}), False),
    (detail(items={"count": [{"numeric": [">", 4]}]}), True),
    ({"$or": [{"source": ["aws.sns"]}, {"account": ["111111111111"]}]}, True),
    ({"$or": [{"source": ["aws.sns"]}, {"account": ["2"]}]}, False),
    ({"source": ["aws.sns"], "$or": [{"id": ["6a7e8feb"]}, {"account": ["1"]}]}, False),
    (detail(**{"$or": [{"ok": [False]}, {"object": {"size": [{"numeric": ["<", 100]}]}}]}), True),
    (detail(bucket={"name": [{"prefix": "zzz"}, "config"]}), True),
])  # fmt: skip
def test_match(pattern: dict[str, Any], expected: bool) -> None:
    assert matches(parse(json.dumps(pattern)), EVENT) is expected


@pytest.mark.parametrize("pattern, reason", [
    ("not json", "Expecting value"),
    ("[]", "Filter is not an object"),
    ("{}", "Empty objects are not allowed at $"),
    ('{"source": "aws.s3"}', '"source" must be an object or an array at $.source'),
    ('{"source": []}', "Empty arrays are not allowed at $.source"),
    ('{"source": [["a"]]}', "Match value must be"),
    ('{"source": ["a"], "source": ["b"]}', "Duplicate keys"),
    ('{"detail": {}}', "Empty objects are not allowed at $.detail"),
    ('{"detail": {"x": [{"like": "a"}]}}', "Unrecognized match type like at $.detail.x"),
    ('{"detail": {"x": [{"prefix": "a", "suffix": "b"}]}}', "Only one key allowed"),
    ('{"detail": {"x": [{"prefix": 3}]}}', "non-empty string"),
    ('{"detail": {"x": [{"suffix": {"prefix": "a"}}]}}', "equals-ignore-case"),
    ('{"detail": {"x": [{"exists": "yes"}]}}', "either true or false"),
    ('{"detail": {"x": [{"numeric": [">", 3, ">", 5]}]}}', "Bottom must be less than top"),
    ('{"detail": {"x": [{"numeric": ["~", 3]}]}}', "Unrecognized numeric range operator"),
    ('{"detail": {"x": [{"numeric": [">", "3"]}]}}', "must be numeric"),
    ('{"detail": {"x": [{"numeric": [">", 9e12]}]}}', "must be between"),
    ('{"detail": {"x": [{"numeric": [">"]}]}}', "one or two comparisons"),
    ('{"detail": {"x": [{"cidr": "10.0.0.300/8"}]}}', "Malformed CIDR"),
    ('{"detail": {"x": [{"cidr": "10.0.0.3"}]}}', "one '/' required"),
    ('{"detail": {"x": [{"wildcard": "a**b"}]}}', "Consecutive wildcard"),
    ('{"detail": {"x": [{"wildcard": "a\\\\b"}]}}', "Invalid escape"),
    ('{"detail": {"x": [{"anything-but": []}]}}', "Empty arrays"),
    ('{"detail": {"x": [{"anything-but": [true]}]}}', "only strings and numbers"),
    ('{"detail": {"x": [{"anything-but": ["a", 1]}]}}', "types must not be mixed"),
    ('{"detail": {"x": [{"anything-but": {"numeric": [">", 1]}}]}}', "Unsupported anything-but"),
    ('{"$or": [{"source": ["a"]}]}', "two or more"),
])  # fmt: skip
def test_refused(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern, match=r"^Event pattern is not valid\. Reason: ") as caught:
        parse(pattern)
    assert reason in str(caught.value)
