"""Documents, transactions, order, threads."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from orchestrator.local.store import AlreadyExists, Key, Store


def key(name: str, account: str = "1", region: str = "r", type: str = "Thing") -> Key:
    return Key(account, region, "service", type, name)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


def test_a_document_is_a_fresh_copy(store):
    store.put(key("a"), {"list": [1]})
    store.get(key("a"))["list"].append(2)
    assert store.get(key("a")) == {"list": [1]}
    assert store.get(key("b")) is None


def test_create_refuses_a_second(store):
    store.create(key("a"), {"n": 1})
    with pytest.raises(AlreadyExists):
        store.create(key("a"), {"n": 2})
    assert store.get(key("a")) == {"n": 1}


def test_list_is_in_order_of_creation_and_filtered(store):
    for name, account in (("z", "1"), ("y", "2"), ("x-1", "1"), ("x_2", "1")):
        store.put(key(name, account), {"name": name})
    store.put(key("z"), {"name": "changed"})
    store.put(key("other", type="Other"), {})
    assert [found.name for found, _ in store.list("service", "Thing")] == ["z", "y", "x-1", "x_2"]
    assert [found.name for found, _ in store.list("service", "Thing", account="1", prefix="x")] == ["x-1", "x_2"]
    assert store.list("service", "Thing", region="elsewhere") == []


def test_update_patch_delete(store):
    assert store.update(key("a"), lambda document: document) is None
    assert store.patch(key("a"), n=1) is None
    store.put(key("a"), {"n": 1, "m": 1})
    assert store.update(key("a"), lambda document: {"n": document["n"] + 1}) == {"n": 2}
    assert store.patch(key("a"), m=3) == {"n": 2, "m": 3}
    assert store.delete(key("a")) and not store.delete(key("a"))


def test_a_failed_transaction_leaves_nothing(store):
    with pytest.raises(KeyError), store.transaction():
        store.put(key("a"), {})
        raise KeyError
    assert store.get(key("a")) is None


def test_a_failed_inner_transaction_undoes_itself_alone(store):
    with store.transaction():
        store.put(key("outer"), {})
        with pytest.raises(KeyError), store.transaction():
            store.put(key("inner"), {})
            raise KeyError
        store.put(key("after"), {})
    assert [found.name for found, _ in store.list("service", "Thing")] == ["outer", "after"]


def test_a_transaction_goes_on_after_sqlite_refused(store):
    with pytest.raises(sqlite3.Error), store.transaction() as database:
        database.execute("INSERT INTO nowhere VALUES (1)")
    store.put(key("a"), {})
    assert store.get(key("a")) == {}


def test_threads_lose_no_update(store):
    store.put(key("counter"), {"n": 0})

    def count():
        for _ in range(50):
            store.update(key("counter"), lambda document: {"n": document["n"] + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(key("counter")) == {"n": 200}


def test_in_transaction_is_about_this_thread(store):
    seen = []
    with store.transaction():
        assert store.in_transaction
        other = threading.Thread(target=lambda: seen.append(store.in_transaction))
        other.start()
        other.join()
    assert seen == [False] and not store.in_transaction


def test_documents_outlive_the_process(tmp_path: Path):
    first = Store(tmp_path / "state.db")
    first.put(key("a"), {"n": 1})
    second = Store(tmp_path / "state.db")  # the first is still open: as after kill -9, nothing was closed
    assert second.get(key("a")) == {"n": 1}
    first.close()
    second.close()


def test_writing_does_not_slow_down_with_the_number_of_documents(store):
    plan = store._database.execute(
        "EXPLAIN QUERY PLAN SELECT COALESCE(MAX(sequence), 0) + 1 FROM documents WHERE service = 's' AND type = 't'"
    ).fetchall()
    assert any("by_age (service=? AND type=?)" in row[3] for row in plan)
