"""The decision is IAM's: held to a second implementation, to moto's where that is right, and to AWS's own examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.iam.access_control import IAMPolicy, PermissionResult

from orchestrator.local.authorization import caller
from orchestrator.local.authorization.caller import Caller, Grants
from orchestrator.local.authorization.conditions import Undecidable, holds
from orchestrator.local.authorization.decision import Decision, Question, decide
from orchestrator.local.authorization.policy import Condition, Malformed, Policy, arn_like, expand, like, read
from tests.permissions import naive_iam

HERE, THERE = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{HERE}:role/worker"
WORKER = caller.session(ROLE, "AROA1", "s")
KEYS = ["aws:principalarn", "aws:sourceaccount", "s3:prefix", "aws:tagkeys"]
VALUES = ["a", "b", "a*", "?", ROLE]

actions = st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:Get*", "S3:getobject", "s3:*", "*", "kms:Decrypt"])
objects = ["arn:aws:s3:::b/k", "arn:aws:s3:::b/a", "arn:aws:s3:::c"]
resources = st.sampled_from([*objects, "*", "arn:aws:s3:::b/*", "arn:aws:s3:::?/k", "arn:aws:s3", "arn:aws:*:::b/k"])
operators = st.sampled_from(
    [
        f"{quantifier}{base}{suffix}"
        for quantifier in ("", "ForAllValues:", "ForAnyValue:")
        for base in ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike")
        for suffix in ("", "IfExists")
    ]
)
blocks = st.one_of(
    st.just({}),
    st.dictionaries(
        operators,
        st.dictionaries(
            st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), min_size=1, max_size=2), min_size=1, max_size=2
        ),
        max_size=2,
    ),
    st.builds(lambda key, value: {"Null": {key: value}}, st.sampled_from(KEYS), st.sampled_from(["true", "false"])),
)
principals = st.sampled_from(
    [
        "*",
        {"AWS": "*"},
        {"AWS": HERE},
        {"AWS": f"arn:aws:iam::{HERE}:root"},
        {"AWS": [ROLE, THERE]},
        {"AWS": WORKER.arn},
        {"AWS": THERE},
        {"Service": "s3.amazonaws.com"},
    ]
)


@st.composite
def statements(draw: st.DrawFn, *, of_resource: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    made[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(st.lists(actions, min_size=1, max_size=2))
    made[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(
        st.lists(resources, min_size=1, max_size=2)
    )
    if block := draw(blocks):
        made["Condition"] = block
    if of_resource:
        made["Principal"] = draw(principals)
    return made


def documents(*, of_resource: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    held = st.lists(statements(of_resource=of_resource), max_size=3)
    return held.map(lambda several: {"Version": "2012-10-17", "Statement": several})


def policy(document: dict[str, Any] | None) -> Policy | None:
    return None if document is None else read("p", json.dumps(document))


def grants(identity: list[Any], boundary: Any = None, session: Any = None) -> Grants:
    sessions = tuple(one for one in [policy(session)] if one)
    return Grants(tuple(one for one in map(policy, identity) if one), policy(boundary), sessions)


contexts = st.dictionaries(st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), min_size=1, max_size=2), max_size=3)


@settings(max_examples=400, deadline=None)
@given(
    identity=st.lists(documents(), max_size=2),
    boundary=st.none() | documents(),
    session=st.none() | documents(),
    resource=st.none() | documents(of_resource=True),
    action=st.sampled_from(["s3:GetObject", "s3:PutObject", "kms:Decrypt"]),
    thing=st.sampled_from(objects),
    owner=st.sampled_from([HERE, THERE]),
    context=contexts,
)
def test_it_decides_as_the_second_implementation(
    identity: list[Any],
    boundary: Any,
    session: Any,
    resource: Any,
    action: str,
    thing: str,
    owner: str,
    context: dict[str, list[str]],
) -> None:
    request = naive_iam.Request(HERE, action, thing, owner, context)
    expected = naive_iam.allowed(request, identity, boundary, session, resource, guarded=action.startswith("kms:"))
    values = {key: tuple(each) for key, each in context.items()}
    question = Question(WORKER, action, thing, values, owner)
    decision = decide(question, grants(identity, boundary, session), policy(resource))
    assert decision.allowed == expected
    assert bool(decision.reason) != decision.allowed


@settings(max_examples=150, deadline=None)
@given(document=documents(), action=st.sampled_from(["s3:GetObject", "s3:PutObject"]), thing=st.sampled_from(objects))
def test_it_agrees_with_moto_where_moto_is_right(document: dict[str, Any], action: str, thing: str) -> None:
    """moto knows no conditions, no incomplete ARNs and no question marks, and minds the case of actions."""
    plain = [
        statement
        for statement in document["Statement"]
        if "Condition" not in statement
        and {"NotResource", "NotAction"}.isdisjoint(statement)
        and not {"arn:aws:s3", "arn:aws:s3:::?/k", "S3:getobject"} & {*statement["Resource"], *statement["Action"]}
    ]
    if not plain:
        return
    theirs = IAMPolicy(json.dumps({**document, "Statement": plain})).is_action_permitted(action, thing)
    question = Question(WORKER, action, thing, {}, HERE)
    ours = decide(question, grants([{**document, "Statement": plain}]))
    assert ours.allowed == (theirs == PermissionResult.PERMITTED)
    assert ("explicit deny" in ours.reason) == (theirs == PermissionResult.DENIED)


def one(effect: str = "Allow", **members: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": "*", "Resource": "*", **members}]}


def ask(identity: list[Any], resource: Any = None, who: Caller = WORKER, owner: str = HERE, **rest: Any) -> Decision:
    question = Question(who, rest.pop("action", "s3:GetObject"), "arn:aws:s3:::b/k", rest.pop("context", {}), owner)
    return decide(question, grants(identity, **rest), policy(resource))


def test_across_accounts_both_sides_must_allow() -> None:
    theirs = one(Principal={"AWS": HERE})
    assert ask([one()], theirs, owner=THERE).allowed
    assert ask([one()], owner=THERE).reason == "because no resource-based policy allows the s3:GetObject action"
    assert ask([], theirs, owner=THERE).reason == "because no identity-based policy allows the s3:GetObject action"


def test_in_one_account_either_side_is_enough_but_a_word_to_the_account_is_not() -> None:
    assert ask([one()]).allowed
    assert ask([], one(Principal={"AWS": ROLE})).allowed
    assert not ask([], one(Principal={"AWS": HERE})).allowed


def test_a_boundary_binds_what_the_role_is_granted_but_not_what_its_session_is() -> None:
    tight = one(Action="sqs:*")
    assert not ask([], one(Principal={"AWS": ROLE}), boundary=tight).allowed
    assert ask([], one(Principal={"AWS": WORKER.arn}), boundary=tight).allowed
    assert ask([one()], boundary=tight).reason == "because no permissions boundary allows the s3:GetObject action"


def test_the_policy_of_a_key_decides_whether_identity_policies_count() -> None:
    assert not ask([one()], action="kms:Decrypt").allowed
    assert ask([one()], one(Principal={"AWS": f"arn:aws:iam::{HERE}:root"}), action="kms:Decrypt").allowed
    assert not ask([], one(Principal={"AWS": f"arn:aws:iam::{HERE}:root"}), action="kms:Decrypt").allowed
    assert ask([], one(Principal={"AWS": ROLE}), action="kms:Decrypt").allowed


def test_a_service_needs_the_resource_to_name_it_for_its_account() -> None:
    events = caller.service("events.amazonaws.com", HERE, "arn:aws:events:us-east-1:111111111111:rule/r")
    mine = one(Principal={"Service": "events.amazonaws.com"}, Condition={"StringEquals": {"aws:SourceAccount": HERE}})
    assert ask([], mine, who=events, context={"aws:sourceaccount": (HERE,)}).allowed
    assert not ask([], mine, who=events, context={"aws:sourceaccount": (THERE,)}).allowed
    assert not ask([], one(Principal={"AWS": "*"}, Action="sqs:*"), who=events).allowed


def test_root_may_do_everything_at_home_and_what_others_let_it_elsewhere() -> None:
    root = caller.root(HERE)
    question = Question(root, "s3:GetObject", "arn:aws:s3:::b/k", {}, HERE)
    assert decide(question, Grants(None)).allowed
    assert not decide(question, Grants(None), policy(one("Deny", Principal="*"))).allowed
    abroad = Question(root, "s3:GetObject", "arn:aws:s3:::b/k", {}, THERE)
    assert not decide(abroad, Grants(None)).allowed
    assert decide(abroad, Grants(None), policy(one(Principal={"AWS": HERE}))).allowed


def test_not_principal_spares_only_who_is_listed_whole() -> None:
    def denied(*listed: str) -> bool:
        resource = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "NotPrincipal": {"AWS": list(listed)}, "Action": "*", "Resource": "*"}
        ]}  # fmt: skip
        return not ask([one()], resource).allowed

    assert denied(THERE)
    assert denied(HERE, ROLE)  # the session is not listed
    assert not denied(HERE, ROLE, WORKER.arn)


def test_what_cannot_be_evaluated_never_helps() -> None:
    strange = {"StringEquals": {"ec2:Vpc": "v"}}
    allow = ask([one(Condition=strange)])
    assert not allow.allowed
    assert allow.doubts == ("p, statement ?: the embedded AWS does not know the condition key 'ec2:vpc'",)
    assert not ask([one(), one("Deny", Condition=strange)]).allowed
    assert not ask([one(Condition={"StringSortOf": {"s3:prefix": "v"}})]).allowed


@pytest.mark.parametrize(
    "operator, wanted, found, met",
    [
        ("NumericLessThan", "10", "9.5", True),
        ("NumericLessThan", "10", "ten", False),
        ("NumericNotEquals", "10", "11", True),
        ("DateGreaterThan", "2030-01-01T00:00:00Z", "2030-01-01T00:00:01Z", True),
        ("DateLessThan", "2030-01-01", "2030-01-02T00:00:00Z", False),
        ("DateLessThan", "1893456000", "2029-12-31T00:00:00Z", True),
        ("Bool", "true", "TRUE", True),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
        ("ArnLike", "arn:aws:iam::*:role/mlops-*", "arn:aws:iam::1:role/mlops-x", True),
        ("ArnLike", "arn:aws:*/mlops-*", "arn:aws:iam::1:role/mlops-x", False),  # a part does not cross a colon
        ("ArnNotEquals", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b", True),
        ("StringEqualsIgnoreCase", "Ab", "aB", True),
        ("StringLike", "a[b]*", "a[b]c", True),
    ],
)
def test_operators(operator: str, wanted: str, found: str, met: bool) -> None:
    statement = read("p", json.dumps(one(Condition={operator: {"aws:PrincipalArn": wanted}}))).statements[0]
    assert holds(statement.conditions[0], {"aws:principalarn": (found,)}) is met


def test_variables_stand_for_the_request_and_bring_no_wildcards() -> None:
    context = {"aws:username": ("ann*",), "aws:principaltag/team": ("ml",)}
    assert like(expand("home/${aws:username}/x", context) or "", "home/ann*/x")
    assert not like(expand("home/${aws:username}/x", context) or "", "home/anna/x")
    assert expand("${aws:PrincipalTag/team}-${*}", context) != "ml-*"
    assert like(expand("${aws:PrincipalTag/team}-${*}", context) or "", "ml-*")
    assert expand("${aws:nobody}", context) is None
    assert expand("${aws:nobody, 'all'}", context) == "all"
    own = one(Resource="arn:aws:s3:::b/${aws:PrincipalTag/team}")
    assert not ask([own]).allowed
    old = {**own, "Version": "2008-10-17"}  # in which ${...} is text
    assert not ask([old], context={"aws:principaltag/team": ("k",)}).allowed
    assert ask([own], context={"aws:principaltag/team": ("k",)}).allowed


def test_incomplete_arns_are_completed() -> None:
    assert arn_like("arn:aws:sqs", "arn:aws:sqs:us-east-1:1:q")
    assert not arn_like("arn:aws:s3", "arn:aws:sqs:us-east-1:1:q")


@pytest.mark.parametrize(
    "document, said",
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"Statement": [{"Effect": "allow", "Action": "*"}]}', "Allow or Deny, not 'allow'"),
        ('{"Statement": [{"Effect": "Allow"}]}', "neither Action nor NotAction"),
        ('{"Statement": [{"Effect": "Allow", "Action": 1}]}', "Action is a text"),
        ('{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "NotResource": "*"}]}', "both Resource"),
        ('{"Statement": [{"Effect": "Allow", "Action": "*", "Condition": {"Bool": 1}}]}', "Condition.Bool"),
    ],
)
def test_what_is_no_policy_is_said(document: str, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read("the place", document)


def test_unknown_quantifiers_are_refused() -> None:
    with pytest.raises(Undecidable, match="forsome"):
        holds(Condition("stringequals", "s3:prefix", ("a",), quantifier="forsomevalues"), {})
