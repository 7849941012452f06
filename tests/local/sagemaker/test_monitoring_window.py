"""Which objects of S3 a window has, and what a job says when it may not have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.local.embedded import EmbeddedAws
from orchestrator.runtime.monitoring import definition, emission, window
from orchestrator.runtime.monitoring.clients import AwsRefused
from orchestrator.runtime.monitoring.failures import InputUnreadable

ACCOUNT, REGION = "222222222222", "us-east-1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}


class Account:
    """An account in which permissions are enforced, with a bucket; ``as_role`` gives clients of a role."""

    def __init__(self, embedded: EmbeddedAws) -> None:
        self._world = embedded.world
        self.s3 = self.client("s3")
        self.s3.create_bucket(Bucket="calls")

    def client(self, service: str, role: str = "") -> Any:
        return self._world.client(service, ACCOUNT, REGION, role)

    def as_role(self, service: str, *actions: str) -> Any:
        """A client whose role may do these things with everything."""
        iam = self.client("iam")
        role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        allowed = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}] if actions else []
        if allowed:
            policy = {"Version": "2012-10-17", "Statement": allowed}
            iam.put_role_policy(RoleName="job", PolicyName="p", PolicyDocument=json.dumps(policy))
        return self.client(service, role)

    def put(self, *keys: str, body: str = "x") -> None:
        for key in keys:
            self.s3.put_object(Bucket="calls", Key=key, Body=body)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    embedded = EmbeddedAws(tmp_path / "home", authorization="enforce")
    embedded.start()
    yield Account(embedded)
    embedded.stop()


def monitor(**changes: Any) -> definition.Monitor:
    return definition.checked({
        "version": 1, "monitor": "model_quality", "name": "m", "endpoint": "shop", "window_hours": 2,
        "capture": {"location": "calls/captured"}, "ground_truth": {"location": "calls/truth"}, **changes,
    })  # fmt: skip


UNTIL = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def fetched(account: Account, told: definition.Monitor, folder: Path, s3: Any = None) -> window.Fetched:
    hours = window.hours(UNTIL, told.window_hours, told.delay_hours)
    return window.fetch(s3 or account.s3, told, hours, folder)


def test_a_window_has_the_objects_of_its_hours_and_nothing_else(account: Account, tmp_path: Path) -> None:
    account.put(
        "captured/shop/A/2026/11/21/07/early.jsonl",
        "captured/shop/A/2026/11/21/08/a.jsonl",
        "captured/shop/B/2026/11/21/09/b.jsonl",
        "captured/shop/A/2026/11/21/10/late.jsonl",
        "captured/shop-2/A/2026/11/21/09/other.jsonl",
        "truth/2026/11/21/09/t.jsonl",
        "truth/2026/11/21/10/late.jsonl",
    )
    account.put("captured/shop/A/2026/11/21/09/empty.jsonl", body="")
    found = fetched(account, monitor(), tmp_path / "w")
    assert files(found.captured) == ["A/2026/11/21/08/a.jsonl", "B/2026/11/21/09/b.jsonl"]
    assert found.ground_truth is not None and files(found.ground_truth) == ["2026/11/21/09/t.jsonl"]
    assert (found.calls, found.labels, found.remark) == (2, 1, "")


def test_one_variant_and_labels_that_come_later(account: Account, tmp_path: Path) -> None:
    account.put("captured/shop/A/2026/11/21/08/a.jsonl", "captured/shop/B/2026/11/21/08/b.jsonl")
    account.put("truth/2026/11/21/09/later.jsonl", "truth/2026/11/21/07/before.jsonl")
    told = monitor(capture={"location": "s3://calls/captured/", "variant": "B"}, window_hours=1, delay_hours=1)
    found = fetched(account, told, tmp_path / "w")
    assert files(found.captured) == ["B/2026/11/21/08/b.jsonl"]
    assert found.ground_truth is not None and files(found.ground_truth) == ["2026/11/21/09/later.jsonl"]


def test_without_ground_truth_there_is_no_folder_of_it(account: Account, tmp_path: Path) -> None:
    found = fetched(account, definition.checked({
        "version": 1, "monitor": "data_quality", "name": "m", "endpoint": "shop", "window_hours": 1,
        "capture": {"location": "calls"},
    }), tmp_path / "w")  # fmt: skip
    assert found.ground_truth is None and found.calls == 0
    assert "has the endpoint data capture?" in found.remark


@pytest.mark.parametrize(("actions", "hint"), [
    ((), "Allow the job's role s3:ListBucket on arn:aws:s3:::calls."),
    (("s3:ListBucket",), "Allow the job's role s3:GetObject on arn:aws:s3:::calls/captured/*."),
])  # fmt: skip
def test_a_missing_permission_is_named(actions: tuple[str, ...], hint: str, account: Account, tmp_path: Path) -> None:
    account.put("captured/shop/A/2026/11/21/09/a.jsonl")
    with pytest.raises(AwsRefused) as refusal:
        fetched(account, monitor(), tmp_path / "w", account.as_role("s3", *actions))
    assert refusal.value.hint == hint


def test_metrics_that_may_not_be_written_are_said_so(account: Account) -> None:
    points = emission.data({"Rows": 1}, {}, datetime.now(UTC))
    with pytest.raises(AwsRefused, match="Writing metrics of A/b failed: AccessDenied") as refusal:
        emission.put(account.as_role("cloudwatch"), "A/b", points)
    assert refusal.value.hint.startswith("Allow the job's role cloudwatch:PutMetricData on * with")


def test_a_window_that_does_not_fit_on_the_disk_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(window.DiskTooSmall, match="1,152,921,504,606,846,976 bytes"):
        window.check_room([window.Item("k", 1 << 60)], tmp_path)


def test_a_key_that_leads_out_of_the_folder_is_refused(account: Account, tmp_path: Path) -> None:
    account.put("captured/shop/A/2026/11/21/09/../../x.jsonl")
    with pytest.raises(InputUnreadable, match="leads out of its folder"):
        fetched(account, monitor(), tmp_path / "w")
