"""Approval/Manual: waits for PutApprovalResult, https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals.html."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.local.services.codepipeline.action import DAY, Action, ActionFailed, Success

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work


class ManualApproval(Action):
    """Seven days, unless the action's timeoutInMinutes says otherwise."""

    category = "Approval"
    provider = "Manual"
    optional = frozenset({"NotificationArn", "CustomData", "ExternalEntityLink"})
    timeout = 7 * DAY

    def advance(self, work: Work) -> float | Success:
        if "token" not in work.memory:
            work.remember(token=work.new_id())
        if work.configuration.get("NotificationArn") and not work.memory.get("notified"):
            self._notify(work)
            work.remember(notified=True)
        answer = work.memory.get("answer")
        if answer is None:
            return self.timeout
        if answer["status"] != "Approved":
            raise ActionFailed(f"Rejected: {answer['summary']}" if answer["summary"] else "Rejected")
        return Success(summary=answer["summary"])

    def _notify(self, work: Work) -> None:
        topic = work.configuration["NotificationArn"]
        subject = f"APPROVAL NEEDED: AWS CodePipeline {work.pipeline} for action {work.action}"
        work.client("sns").publish(TopicArn=topic, Subject=subject[:100], Message=json.dumps(notification(work)))


def notification(work: Work) -> dict[str, object]:
    """The message as AWS sends it: .../userguide/approvals-json-format.html."""
    console = f"https://console.aws.amazon.com/codepipeline/home?region={work.region}#/view/{work.pipeline}"
    token = work.memory["token"]
    minutes = work.declaration.get("timeoutInMinutes")
    expires = work.started + (minutes * 60 if minutes else ManualApproval.timeout)
    approval = {
        "pipelineName": work.pipeline,
        "stageName": work.stage,
        "actionName": work.action,
        "token": token,
        "expires": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "externalEntityLink": work.configuration.get("ExternalEntityLink"),
        "approvalReviewLink": f"{console}/{work.stage}/{work.action}/approve/{token}",
        "customData": work.configuration.get("CustomData"),
    }
    return {"region": work.region, "consoleLink": console, "approval": approval}


ACTION = ManualApproval
