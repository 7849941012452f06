"""Every statement has a reason, every reason a statement, and ``docs/security.md`` says so."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.blueprints.walking import ROOT
from tests.permissions import security_page
from tests.permissions.statements import LAUNCHED, Held, Owner, everything, reason

SID = re.compile(r"^ *(?:- )+Sid: (\w+)", re.MULTILINE)


@pytest.fixture(scope="module")
def held() -> list[Held]:
    return everything()


def test_every_statement_has_one_reason_and_every_reason_a_statement(held: list[Held]) -> None:
    assert security_page.without_reason(held) == []
    assert security_page.idle_reasons(held) == []


def test_the_page_is_what_the_templates_say(held: list[Held]) -> None:
    assert security_page.PAGE.read_text() == security_page.page(held), (
        "python -m tests.permissions.security_page --write"
    )


def test_no_statement_is_missing_because_no_example_has_it(held: list[Held]) -> None:
    written = {
        sid
        for folder in ("blueprints", "templates")
        for file in (ROOT / folder).rglob("*.j2")
        for sid in SID.findall(file.read_text())
    }
    shown = {sid for each in held for sid in each.sids()}
    assert len(written) > 50
    assert written - shown == set()


def test_a_statement_without_a_reason_and_an_idle_reason_are_told(held: list[Held]) -> None:
    stranger = {"Sid": "Why", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    for within in (LAUNCHED, "model_training"):
        one = Held(Owner(within, "TrainingRole"), security_page.ROLE, statements=[stranger])
        assert security_page.without_reason([one]) == [f"{within}/TrainingRole/Why"]
    fewer = [replace(each, statements=[]) if each.owner.name == "SearchRole" else each for each in held]
    assert "blueprints/automl_training/SearchRole/ExplainTheBest" in security_page.idle_reasons(fewer)
    without_launch = [each for each in held if each.owner.within != LAUNCHED]
    assert any("ProvisionPipelineStacks" in text for text in security_page.idle_reasons(without_launch))


def test_a_widened_statement_of_the_launch_templates_has_lost_its_reason(held: list[Held]) -> None:
    function = next(each for each in held if each.owner == Owner(LAUNCHED, "FunctionRole"))
    (notify,) = function.sids()["Notify"]
    assert reason(function.owner, notify)
    assert not reason(function.owner, {**notify, "Action": ["sns:Publish", "sns:Subscribe"]})


@pytest.mark.parametrize(
    "value, text",
    [
        ({"Fn::Sub": "arn:${AWS::Partition}:s3:::${Bucket}/*"}, "s3:${Bucket}/*"),
        ({"Fn::Sub": ["arn:${AWS::Partition}:s3:::${B}/*", {"B": {"Ref": "Own"}}]}, "s3:${Own}/*"),
        ({"Fn::GetAtt": ["Key", "Arn"]}, "${Key}"),
        ({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", "b"]]}, "s3:b"),
        ({"Fn::Sub": "arn:${AWS::Partition}:iam::*:role/x"}, "iam::*:role/x"),
        ("*", "*"),
    ],
)
def test_a_resource_in_words(value: object, text: str) -> None:
    assert security_page.arn_of(value) == text
