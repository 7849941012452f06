"""Every hop between accounts needs each of its statements: without one the hop is refused, and the refusal names it.

A whole run was recorded; here its questions are decided again under policies that lack a statement.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from orchestrator.local.authorization import caller
from orchestrator.local.authorization.asked import Asked
from orchestrator.local.authorization.authorizer import Answered, message_of
from orchestrator.local.authorization.identity import Identity
from orchestrator.local.authorization.kinds import Place
from orchestrator.local.journal import moto_access
from tests.permissions.conftest import Recorded, again, speaking

HUB, DEV, PROD = "111111111111", "222222222222", "444444444444"
STAGES = (DEV, PROD)


@dataclass(frozen=True)
class Hop:
    """One way from an account into another: the caller, what it asks, and the statements it lives by."""

    name: str
    caller: str
    action: str
    resource: str
    identity: str = ""
    boundary: str = ""
    at_resource: str = ""

    def __str__(self) -> str:
        return self.name


HOPS = [
    Hop(
        "the pipeline takes the action role of a stage",
        f"{HUB}:role/mlops-pipeline-breast-cancer-workload-PipelineRole",
        "sts:AssumeRole",
        "{stage}:role/mlops-pipeline-action",
        "ActInTheStages",
        "PipelinesActInStages",
        "TheHubsRoles",
    ),
    Hop(
        "the action role reads the run's artifacts",
        "{stage}:role/mlops-pipeline-action",
        "s3:GetObject",
        f"mlops-artifacts-{HUB}",
        "Artifacts",
        "",
        "StageRolesExchange",
    ),
    Hop(
        "the action role decrypts them",
        "{stage}:role/mlops-pipeline-action",
        "kms:Decrypt",
        f":{HUB}:key/",
        "ArtifactKey",
        "",
        "StageRolesUse",
    ),
    Hop(
        "CloudFormation makes a model of the hub's package",
        "{stage}:role/mlops-cloudformation",
        "sagemaker:CreateModel",
        f"{HUB}:model-package/",
        "PackagesOfTheHub",
        "",
        "StagesDeploy",
    ),
    Hop(
        "the endpoint reads the model",
        "{stage}:role/mlops-pipeline-breast-cancer-workload-ExecutionRole",
        "s3:GetObject",
        f"mlops-assets-{HUB}",
        "ReadTheModel",
        "Data",
        "StageRolesRead",
    ),
    Hop(
        "the truth check takes the reading role of a stage",
        f"{HUB}:role/mlops-orchestrator",
        "sts:AssumeRole",
        "{stage}:role/mlops-read",
        "CheckTheTruthInStages",
        "",
        "TheHubsRoles",
    ),
    Hop(
        "rules tell the topic",
        "events.amazonaws.com",
        "sns:Publish",
        "mlops-notifications",
        at_resource="EventsPublish",
    ),
    Hop(
        "rules use the topic's key",
        "events.amazonaws.com",
        "kms:GenerateDataKey",
        f":{HUB}:key/",
        at_resource="EventsEncrypt",
    ),
]
SIDES = {
    "identity": "identity-based policy",
    "boundary": "permissions boundary",
    "resource": "resource-based policy",
}
MATRIX = [
    (hop, stage, side)
    for hop in HOPS
    for stage in (STAGES if "{stage}" in hop.caller + hop.resource else (DEV,))
    for side, sid in (("identity", hop.identity), ("boundary", hop.boundary), ("resource", hop.at_resource))
    if sid
]


def questions(recorded: Recorded, hop: Hop, stage: str) -> list[Answered]:
    return recorded.about(hop.caller.format(stage=stage), hop.action, hop.resource.format(stage=stage))


def test_the_run_went_through_with_iam_in_force(recorded: Recorded) -> None:
    assert set(recorded.states.values()) == {"Succeeded"}, recorded.states
    denied = [message_of(one) for one in recorded.answers if not one.decision.allowed]
    assert denied == []
    assert not [one.decision.doubts for one in recorded.answers if one.decision.doubts]


@pytest.mark.parametrize("hop, stage, side", MATRIX, ids=[f"{h} / {stage} / {side}" for h, stage, side in MATRIX])
def test_without_one_statement_the_hop_is_refused(recorded: Recorded, hop: Hop, stage: str, side: str) -> None:
    found = questions(recorded, hop, stage)
    assert found, "the run never took this hop"
    sid = {"identity": hop.identity, "boundary": hop.boundary, "resource": hop.at_resource}[side]
    for answered in found:
        assert again(answered).allowed
        decision = again(answered, **{side: frozenset({sid})})
        assert not decision.allowed
        assert decision.reason == f"because no {SIDES[side]} allows the {hop.action} action"


def test_no_other_hop_between_accounts_was_taken(recorded: Recorded) -> None:
    """A new way from one account into another belongs into the table above."""
    known = {(one.question.caller.principal_arn, one.question.action) for hop in HOPS for stage in STAGES
             for one in questions(recorded, hop, stage)}  # fmt: skip
    crossing = {
        (one.question.caller.principal_arn, one.question.action)
        for one in recorded.answers
        if one.question.caller.account not in ("", one.question.owner) and one.question.caller.kind != caller.ROOT
    }
    assert crossing - known == set()


def test_every_permission_of_the_run_hangs_on_statements_that_can_be_named(recorded: Recorded) -> None:
    """Taking away all that speaks for a question refuses it; nothing is allowed by the way."""
    seen = 0
    for answered in recorded.answers:
        question, grants = answered.question, answered.grants
        if question.caller.kind == caller.ROOT:
            continue
        identity = frozenset(speaking(grants.identity or (), question))
        resource = frozenset(speaking([answered.resource_policy] if answered.resource_policy else (), question))
        assert identity | resource, message_of(answered)
        assert not again(answered, identity=identity, resource=resource).allowed, message_of(answered)
        seen += 1
    assert seen > 100


# ---- what the local run does not do: containers are processes, and no image is pulled ----

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@pytest.mark.parametrize("action", PULL)
def test_a_stage_pulls_the_hubs_image_by_the_repositorys_policy_and_the_roles(recorded: Recorded, action: str) -> None:
    execution = questions(recorded, HOPS[4], DEV)[0].question.caller
    arn = f"arn:aws:ecr:us-east-1:{HUB}:repository/mlops-algorithms"
    authorizer = recorded.aws.embedded.authorizer
    identity = Identity(execution)
    grants = authorizer.knowledge.grants(identity)
    answered = authorizer.answer(identity, grants, Place(DEV, "us-east-1"), Asked(action, arn))
    # this model's image is AWS's own, so its role may not pull from the hub; a role for the hub's image may
    assert answered.decision.reason == f"because no identity-based policy allows the {action} action"
    allowed = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "PullTheImage", "Effect": "Allow", "Action": list(PULL), "Resource": arn}
    ]})  # fmt: skip
    iam = recorded.aws.client("iam", DEV)
    name = execution.principal_arn.rpartition("/")[2]
    iam.put_role_policy(RoleName=name, PolicyName="for-the-test", PolicyDocument=allowed)
    try:
        grants = authorizer.knowledge.grants(identity)
        answered = authorizer.answer(identity, grants, Place(DEV, "us-east-1"), Asked(action, arn))
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="for-the-test")
    assert answered.decision.allowed, message_of(answered)
    for side, sid in (("boundary", "Images"), ("resource", "StagesPull")):
        decision = again(answered, **{side: frozenset({sid})})
        assert decision.reason == f"because no {SIDES[side]} allows the {action} action"


# ---- the real thing ----


def test_a_key_that_forgets_the_stages_stops_the_next_run_at_the_first_of_them(recorded: Recorded) -> None:
    """Not decided again but done: the statement goes from the live policy and a run is started."""
    kms, key = recorded.aws.client("kms"), recorded.outputs["ArtifactKeyArn"]
    found = moto_access.kms_key(HUB, "us-east-1", key)
    assert found is not None
    policy = json.loads(found[1])
    fewer = {**policy, "Statement": [one for one in policy["Statement"] if one["Sid"] != "StageRolesUse"]}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(fewer))
    try:
        actions = recorded.run()
    finally:
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    last = actions.pop()
    assert {one["status"] for one in actions} == {"Succeeded"}
    assert (last["stageName"], last["actionName"], last["status"]) == ("Deploy-dev", "Prepare-endpoint", "Failed")
    assert f"{DEV}:assumed-role/mlops-pipeline-action" in json.dumps(last["output"])
    assert "no resource-based policy allows the kms:Decrypt action" in json.dumps(last["output"])


def test_a_stage_that_trusts_the_hub_no_more_is_left_alone(recorded: Recorded) -> None:
    iam = recorded.aws.client("iam", DEV)
    trust = iam.get_role(RoleName="mlops-read")["Role"]["AssumeRolePolicyDocument"]
    iam.update_assume_role_policy(RoleName="mlops-read", PolicyDocument=json.dumps({**trust, "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
    ]}))  # fmt: skip
    try:
        with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
            recorded.aws.world.assume(f"arn:aws:iam::{DEV}:role/mlops-read", "somebody")
    finally:
        iam.update_assume_role_policy(RoleName="mlops-read", PolicyDocument=json.dumps(trust))
