"""The log's file: torn ends, damage, many threads."""

from __future__ import annotations

import os
import threading

import pytest

from orchestrator.local.journal.log import DamagedLog, Log, read


def written(path, count=3):
    log = Log(path)
    for number in range(count):
        log.sync(log.append({"n": number}))
    log.close()
    return path


def test_records_come_back_in_order(tmp_path):
    path = written(tmp_path / "log")
    assert list(read(path)) == [{"n": 0}, {"n": 1}, {"n": 2}]
    log = Log(path)
    log.append({"n": 3})
    log.close()
    assert [record["n"] for record in read(path)] == [0, 1, 2, 3]


def test_no_file_is_an_empty_log(tmp_path):
    assert list(read(tmp_path / "log")) == []


@pytest.mark.parametrize("lost", [1, 3, 10])
def test_a_torn_end_is_cut_off(tmp_path, lost):
    path = written(tmp_path / "log")
    os.truncate(path, path.stat().st_size - lost)
    assert list(read(path)) == [{"n": 0}, {"n": 1}]
    log = Log(path)
    log.append({"n": "new"})
    log.close()
    assert list(read(path)) == [{"n": 0}, {"n": 1}, {"n": "new"}]


def test_a_garbled_end_is_cut_off(tmp_path):
    path = written(tmp_path / "log")
    with path.open("ab") as file:
        file.write(b'00000000 {"n": 4}\n')
    assert len(list(read(path))) == 3


def test_damage_in_the_middle_is_refused(tmp_path):
    path = written(tmp_path / "log")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'{"n":1}', b'{"n":7}'))
    with pytest.raises(DamagedLog, match="record 2 of"):
        list(read(path))


def test_many_threads_share_a_sync(tmp_path, monkeypatch):
    log, lock, synced = Log(tmp_path / "log"), threading.Lock(), []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(1) or real(descriptor))

    def write():
        for _ in range(20):
            with lock:
                position = log.append({"a": "b"})
            log.sync(position)

    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(read(log.path))) == 100 and len(synced) <= 100
    log.close()
    log.sync(log.size)  # a writer that comes after the close finds everything on disk
