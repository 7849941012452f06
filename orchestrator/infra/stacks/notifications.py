"""The topic of results, failures and waiting approvals, and the queue of events that nobody could handle."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from orchestrator.infra.rights import sharing
from orchestrator.infra.rights.statement import Value, document
from orchestrator.infra.stacks.elements import condition, given, kept, only_if, ref, text

FOURTEEN_DAYS_SECONDS = 1_209_600


def add(stack: Stack, accounts: Value) -> None:
    """Topic, its policy and mail subscription; DeadLetters and its policy. ``accounts`` are the hub and the stages."""
    sns.CfnTopic(
        stack,
        "Topic",
        topic_name=text({"Fn::Sub": "${NamePrefix}-notifications"}),
        display_name="MLOps Orchestrator",
        kms_master_key_id=text({"Fn::GetAtt": ["Key", "Arn"]}),
    )
    sns.CfnTopicPolicy(stack, "TopicPolicy", topics=[ref("Topic")], policy_document=document(sharing.topic(accounts)))
    condition(stack, "HasEmail", given("NotificationEmail"))
    mail = sns.CfnSubscription(
        stack, "MailSubscription", topic_arn=ref("Topic"), protocol="email", endpoint=ref("NotificationEmail")
    )
    only_if(mail, "HasEmail")
    add_dead_letters(stack, {"Fn::GetAtt": ["Key", "Arn"]})


def add_dead_letters(stack: Stack, key_arn: Value) -> None:
    """DeadLetters and its policy; every account of a stage has them too, for the events of its own rules."""
    queue = sqs.CfnQueue(
        stack,
        "DeadLetters",
        queue_name=text({"Fn::Sub": "${NamePrefix}-orchestrator-dead-letters"}),
        kms_master_key_id=text(key_arn),
        message_retention_period=FOURTEEN_DAYS_SECONDS,
    )
    kept(queue)
    sqs.CfnQueuePolicy(
        stack, "DeadLettersPolicy", queues=[ref("DeadLetters")], policy_document=document(sharing.dead_letters())
    )
