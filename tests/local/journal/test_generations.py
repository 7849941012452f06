"""The journal by itself: logs and snapshots follow each other, and what happens when the disk or moto refuses."""

from __future__ import annotations

import resource

import pytest

from orchestrator.local.journal import moto_app, snapshot
from orchestrator.local.journal.journal import Journal
from orchestrator.local.journal.log import DamagedLog
from orchestrator.local.messages import Request
from orchestrator.local.service import ServiceError

ACCOUNT = "111111111111"


def put(path, body=b""):
    authorization = f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/us-east-1/s3/aws4_request, Signature=x"
    return Request("PUT", path, (("Authorization", authorization), ("Host", "127.0.0.1")), body)


def ask(request, account):
    return moto_app.call(request, account, 1)


def get(path):
    return moto_app.call(Request("GET", path, put(path).headers), ACCOUNT, 1).response


@pytest.fixture
def start(tmp_path):
    journals = []

    def make(records_per_log=1000):
        for journal in journals:
            journal.close()
        journal = Journal(tmp_path / "journal", ask, records_per_log=records_per_log)
        journals.append(journal)
        journal.replay = journal.recover()
        return journal

    yield make
    for journal in journals:
        journal.close()
    moto_app.forget_everything()


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "journal").glob("*-*"))


def test_the_log_begins_anew_after_so_many_changes(start, tmp_path):
    journal = start(10)
    journal.perform(put("/bucket"), ACCOUNT)
    for number in range(30):
        journal.perform(put(f"/bucket/{number % 4}", bytes([number]) * 20_000), ACCOUNT)
    assert files(tmp_path) == ["log-000003", "snapshot-000003"]
    kept = list((tmp_path / "journal" / "blobs").iterdir())
    assert len(kept) <= 4 + 10  # the objects there are, and those that were overwritten since the last snapshot
    journal = start(10)
    assert journal.replay.requests == 1 and not journal.replay.differing
    for number in range(4):
        last = max(n for n in range(30) if n % 4 == number)
        assert get(f"/bucket/{number}").body == bytes([last]) * 20_000


def test_a_start_counts_what_is_in_the_log_already(start, tmp_path):
    journal = start(3)
    journal.perform(put("/one"), ACCOUNT)
    journal.perform(put("/two"), ACCOUNT)
    start(3).perform(put("/three"), ACCOUNT)
    assert files(tmp_path) == ["log-000001", "snapshot-000001"]


def test_a_death_between_snapshot_and_new_log(start, tmp_path):
    journal = start()
    journal.perform(put("/bucket"), ACCOUNT)
    journal.snapshot()
    (tmp_path / "journal" / "log-000001").unlink()
    (tmp_path / "journal" / "log-000000").write_text("left behind")
    (tmp_path / "journal" / "snapshot-000002.tmp").write_text("half")
    journal = start()
    assert get("/bucket").status == 200 and journal.replay.requests == 0
    assert files(tmp_path) == ["log-000001", "snapshot-000001"]


def test_a_state_that_cannot_be_saved_stays_in_the_log(start, tmp_path, caplog):
    journal = start(2)
    journal.perform(put("/bucket"), ACCOUNT)
    moto_app.backend_at("s3", ACCOUNT, "aws").unpicklable = lambda: None
    for number in range(5):
        journal.perform(put(f"/bucket/{number}"), ACCOUNT)
    assert "could not be saved" in caplog.text
    assert files(tmp_path) == ["log-000000"]
    assert start().replay.requests == 6 and get("/bucket/4").status == 200


def test_a_full_disk_stops_changes_and_says_so(start, tmp_path):
    journal = start()
    journal.perform(put("/before"), ACCOUNT)
    for number in range(20):  # so long a log that the limit below meets no other file of this process
        journal.perform(put(f"/before/{number}", b"x" * 16_000), ACCOUNT)
    size = (tmp_path / "journal" / "log-000000").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(ServiceError, match=r"The change may be lost: its log cannot be written .*File too large"):
            journal.perform(put("/first"), ACCOUNT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(ServiceError, match="takes no more changes"):
        journal.perform(put("/second"), ACCOUNT)
    assert journal.perform(Request("GET", "/before/1", put("/").headers), ACCOUNT).response.status == 200
    journal = start()
    assert journal.replay.requests == 21
    assert get("/before/19").status == 200 and get("/first").status == 404


def test_a_snapshot_of_another_moto_is_refused(start, tmp_path):
    journal = start()
    journal.perform(put("/bucket"), ACCOUNT)
    journal.snapshot()
    path = tmp_path / "journal" / "snapshot-000001"
    path.write_bytes(path.read_bytes().replace(moto_app.VERSION.encode(), b"5.2.99", 1))
    with pytest.raises(snapshot.UnreadableSnapshot, match=r"written with moto 5\.2\.99, installed is"):
        start()


def test_an_answer_that_differs_is_told(start, tmp_path, caplog):
    start().perform(put("/bucket"), ACCOUNT)
    other = Journal(tmp_path / "journal", lambda request, account: ask(Request("GET", "/", request.headers), account))
    assert other.recover().differing == [f"{ACCOUNT} PUT /bucket "]
    other.close()
    assert "answered otherwise than before" in caplog.text


def test_a_logged_request_that_fails_now_does_not_stop_the_start(start, tmp_path):
    start().perform(put("/bucket"), ACCOUNT)

    def fail(request, account):
        raise KeyError("another moto")

    other = Journal(tmp_path / "journal", fail)
    assert len(other.recover().differing) == 1
    other.close()


def test_a_missing_body_is_named(start, tmp_path):
    journal = start()
    journal.perform(put("/bucket"), ACCOUNT)
    journal.perform(put("/bucket/k", b"x" * 20_000), ACCOUNT)
    (blob,) = (tmp_path / "journal" / "blobs").iterdir()
    blob.unlink()
    with pytest.raises(DamagedLog, match=f"{blob.name}, a body of .*log-000000, is missing"):
        start()


def test_nothing_is_performed_before_a_start(tmp_path):
    journal = Journal(tmp_path / "journal", ask)
    with pytest.raises(RuntimeError, match="recover"):
        journal.perform(put("/bucket"), ACCOUNT)


def test_a_read_that_meets_a_writer_is_repeated(tmp_path):
    troubles = [RuntimeError("dictionary changed size during iteration")]

    def moto(request, account):
        if request.method == "GET" and troubles:
            raise troubles.pop()
        return ask(request, account)

    journal = Journal(tmp_path / "journal", moto)
    journal.recover()
    assert journal.perform(Request("GET", "/", put("/").headers), ACCOUNT).response.status == 200
    troubles.append(NotImplementedError("never"))
    with pytest.raises(NotImplementedError):
        journal.perform(Request("GET", "/", put("/").headers), ACCOUNT)
    journal.close()
