"""Tasks: when steps are called, and that no wake-up is ever lost."""

from __future__ import annotations

import threading
import time

import pytest

from orchestrator.local.store import Key, Store
from orchestrator.local.tasks import Tasks
from tests.local.waiting import until

KEY = Key("1", "r", "s", "Thing", "a")


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


@pytest.fixture
def tasks(store):
    made = Tasks(store)
    yield made
    made.stop()


def rows(store):
    with store.transaction() as database:
        return database.execute("SELECT kind, failures FROM tasks").fetchall()


def test_a_step_runs_until_it_says_done(store, tasks):
    calls = []

    def step(key):
        calls.append(key)
        return 0.01 if len(calls) < 3 else None

    tasks.register("k", step)
    tasks.schedule("k", KEY)
    tasks.start()
    until(lambda: len(calls) == 3 and not rows(store))
    assert calls == [KEY] * 3


def test_an_unknown_kind_is_refused(tasks):
    with pytest.raises(ValueError, match="no step is registered"):
        tasks.schedule("nothing", KEY)


def test_a_task_of_a_dead_process_goes_on(store):
    before = Tasks(store)
    before.register("k", lambda key: None)
    before.schedule("k", KEY)  # never started: the process died
    calls = []
    after = Tasks(store)
    after.register("k", calls.append)
    after.start()
    until(lambda: calls == [KEY])
    after.stop()


def test_scheduling_is_part_of_the_transaction(store, tasks):
    calls = []
    tasks.register("k", calls.append)
    tasks.start()
    with pytest.raises(KeyError), store.transaction():
        tasks.schedule("k", KEY)
        raise KeyError
    with store.transaction():
        tasks.schedule("k", KEY._replace(name="b"))
        time.sleep(0.05)
        assert calls == []
    until(lambda: calls == [KEY._replace(name="b")])


def test_a_failing_step_is_tried_again_and_counts(store, tasks):
    calls = []

    def step(key):
        calls.append(time.monotonic())
        if len(calls) < 3:
            raise RuntimeError("not yet")

    tasks.register("k", step)
    tasks.start()
    tasks.schedule("k", KEY)
    until(lambda: len(calls) == 3 and not rows(store))
    assert calls[1] - calls[0] >= 0.3 and calls[2] - calls[1] >= 0.7


def test_many_failures_stay_within_the_longest_pause(store, tasks):
    with store.transaction() as database:
        database.execute("INSERT INTO tasks VALUES ('k', ?, 0, 5000)", ('["1","r","s","Thing","a"]',))
    failed = threading.Event()

    def step(key):
        failed.set()
        raise RuntimeError("again")

    tasks.register("k", step)
    tasks.start()
    assert failed.wait(5)
    until(lambda: rows(store) == [("k", 5001)])


def test_sooner_wins(store, tasks):
    calls = []
    tasks.register("k", calls.append)
    tasks.start()
    tasks.schedule("k", KEY, delay=60)
    tasks.schedule("k", KEY, delay=0)
    until(lambda: calls == [KEY])


def test_scheduled_while_running_is_called_once_more(store, tasks):
    inside, go, calls = threading.Event(), threading.Event(), []

    def step(key):
        calls.append(key)
        inside.set()
        go.wait(5)

    tasks.register("k", step)
    tasks.start()
    tasks.schedule("k", KEY)
    assert inside.wait(5)
    tasks.schedule("k", KEY)
    assert len(calls) == 1  # never two at the same time
    go.set()
    until(lambda: len(calls) == 2 and not rows(store))


def test_scheduled_for_later_while_running_waits(store, tasks):
    inside, go, calls = threading.Event(), threading.Event(), []

    def step(key):
        calls.append(time.monotonic())
        inside.set()
        go.wait(5)

    tasks.register("k", step)
    tasks.start()
    tasks.schedule("k", KEY)
    assert inside.wait(5)
    tasks.schedule("k", KEY, delay=0.3)
    asked = time.monotonic()
    go.set()
    until(lambda: len(calls) == 2)
    assert calls[1] - asked >= 0.28


def test_no_wake_up_is_lost(store, tasks):
    """A counter is raised and a step asked for, again and again: the step must see the last value."""
    wanted, seen = [0], [0]

    def step(key):
        seen[0] = wanted[0]

    tasks.register("k", step)
    tasks.start()
    for number in range(1, 400):
        wanted[0] = number
        tasks.schedule("k", KEY)
    until(lambda: seen[0] == 399)


def test_different_tasks_run_beside_each_other(tasks):
    barrier, met = threading.Barrier(4, timeout=5), []

    def step(key):
        barrier.wait()
        met.append(key.name)

    tasks.register("k", step)
    tasks.start()
    for name in "abcd":
        tasks.schedule("k", KEY._replace(name=name))
    until(lambda: sorted(met) == ["a", "b", "c", "d"])


def test_stop_waits_for_the_running_step_and_keeps_the_rest(store):
    tasks = Tasks(store, workers=1)
    inside, calls = threading.Event(), []

    def step(key):
        calls.append(key.name)
        inside.set()
        time.sleep(0.1)

    tasks.register("k", step)
    tasks.start()
    tasks.schedule("k", KEY)
    assert inside.wait(5)
    tasks.schedule("k", KEY._replace(name="b"), delay=60)
    tasks.stop()
    assert calls == ["a"] and rows(store) == [("k", 0)]
