"""Files as people have them: every format, and everything that can be wrong with it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.runtime.monitoring import capture
from orchestrator.runtime.monitoring.analysis import analyze, make_baseline
from orchestrator.runtime.monitoring.delimited import whole_records
from orchestrator.runtime.monitoring.documents import monitoring_config
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable, MonitoringError
from orchestrator.runtime.monitoring.policy import Policy
from orchestrator.runtime.monitoring.reading import Format, Source
from orchestrator.runtime.monitoring.report import report


def read(path: Path, **options: Any) -> tuple[pl.DataFrame, Source]:
    """Everything in one table."""
    source = Source(path, **options)
    return pl.concat([batch.frame for batch in source.batches()], how="diagonal"), source


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def kinds(source: Source) -> list[str]:
    return [finding["kind"] for finding in source.findings.as_list()]


def test_csv_with_unicode_header_bom_quotes_and_crlf(tmp_path: Path) -> None:
    text = '\ufeffgröße,名前,"a, b"\r\n1.5,"x ""y""",3\r\n2,"two\r\nlines",4\r\n,z,\r\n'
    frame, source = read(file(tmp_path, "d.csv", text))
    assert frame.columns == ["größe", "名前", "a, b"]
    assert frame["größe"].to_list() == [1.5, 2.0, None]
    assert frame["名前"][0] == 'x "y"' and frame["名前"][1].split() == ["two", "lines"]
    assert frame["a, b"].to_list() == [3.0, 4.0, None]
    assert not kinds(source)


def test_csv_without_header(tmp_path: Path) -> None:
    path = file(tmp_path, "d.csv", "1,a\n2,b\n")
    assert read(path, header=False)[0].columns == ["_c0", "_c1"]
    assert read(path, header=False, names=["n", "t"])[0].columns == ["n", "t"]


def test_broken_rows_are_left_out_counted_and_named(tmp_path: Path) -> None:
    lines = ["x,y,t", *[f"{n},{n / 2},a" for n in range(1, 201)]]
    lines[10], lines[20], lines[30] = "1,2", "1,2,a,more", '5,"open,a'
    frame, source = read(file(tmp_path, "d.csv", "\n".join(lines) + "\n"))
    assert frame.height == 197
    found = {finding["message"]: finding["rows"] for finding in source.findings.as_list()}
    assert sorted(row for rows in found.values() for row in rows) == [10, 20, 30]
    assert {batch.file for batch in Source(tmp_path / "d.csv").batches()} == {"d.csv"}
    (batch,) = Source(tmp_path / "d.csv").batches()
    assert batch.rows[9] == 11  # the tenth good row is the eleventh of the file


def test_a_short_last_row_is_broken_and_a_blank_line_is_nothing(tmp_path: Path) -> None:
    frame, source = read(file(tmp_path, "d.csv", "x,y\n1,2\n\n3\n5,6"))
    assert frame.rows() == [(1.0, 2.0), (5.0, 6.0)]
    assert kinds(source) == ["broken_rows"]


def test_mixed_types_late_types_and_missing_spellings(tmp_path: Path) -> None:
    rows = [f"{n},,{n}" for n in range(60)] + ["oops,7,NA", "61,8,", "62,9,null"]
    path = file(tmp_path, "d.csv", "mostly,late,gaps\n" + "\n".join(rows) + "\n")
    (batch,) = Source(path).batches()
    assert batch.frame["mostly"].null_count() == 1 and batch.unparsable == {"mostly": [60]}
    assert batch.frame["late"].drop_nulls().to_list() == [7.0, 8.0, 9.0]
    assert batch.frame["gaps"].null_count() == 3
    made = make_baseline(Source(path))
    common = made.statistics["features"][0]["numerical_statistics"]["common"]
    assert common == {"num_present": 62, "num_missing": 0, "num_unparsable": 1}


def test_bytes_that_are_no_utf8_are_a_finding(tmp_path: Path) -> None:
    frame, source = read(file(tmp_path, "d.csv", b"x,t\n1,caf\xe9\n2,ok\n"))
    assert frame["x"].to_list() == [1.0, 2.0]
    assert kinds(source) == ["not_utf8"]


@pytest.mark.parametrize("quoted", [False, True])
def test_blocks_end_where_records_end(quoted: bool, tmp_path: Path) -> None:
    cell = '"a\nb"' if quoted else "ab"
    lines = b"".join(f"{n},{cell}\n".encode() for n in range(500))
    path = file(tmp_path, "d.csv", lines)
    with path.open("rb") as stream:
        blocks = list(whole_records(stream, 97))
    assert b"".join(blocks) == lines and len(blocks) > 20
    assert all(block.endswith(b"\n") and block.count(b'"') % 2 == 0 for block in blocks)


@pytest.mark.parametrize("content, words", [
    ("a,b,a\n1,2,3\n", "names a column twice: a"),
    ("a,b\n", "no readable rows"),
    ("\n\n\n", "no readable rows"),
    ("", "no readable rows"),
    (b"\x1f\x8b\x08\x00rest", "compressed"),
    (b"a\x00b,c\n1,2\n", "no CSV"),
    ("a,b\n1\n2\n", "no readable rows"),
])  # fmt: skip
def test_what_cannot_be_read_is_said(content: str | bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputUnreadable, match=words):
        read(file(tmp_path, "d.csv", content))


def test_missing_paths_and_wrong_formats_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no file or folder"):
        read(tmp_path / "nothing")
    with pytest.raises(InputMissing, match="holds no data files"):
        read(tmp_path)
    with pytest.raises(InputUnreadable, match="is not Parquet"):
        read(file(tmp_path, "d.parquet", "a,b\n1,2\n"))
    with pytest.raises(InputUnreadable, match="damaged"):
        read(file(tmp_path, "e.parquet", b"PAR1 and no more"))


def test_five_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(5000)]
    rows = [",".join(str((row * column) % 17) for column in range(5000)) for row in range(40)]
    made = make_baseline(Source(file(tmp_path, "d.csv", "\n".join([",".join(names), *rows]) + "\n")))
    assert len(made.statistics["features"]) == 5000
    window = Source(
        file(tmp_path, "w.csv", "\n".join([",".join(names[1:]), *[r.split(",", 1)[1] for r in rows]]) + "\n")
    )
    found = analyze(window, made.statistics, made.constraints, Policy()).violations["violations"]
    assert [each["feature_name"] for each in found] == ["c0"]


def test_json_lines_with_broken_lines_nested_values_and_mixed_types(tmp_path: Path) -> None:
    lines = [{"x": 1, "t": "a", "f": True}, {"x": 2.5, "t": "b", "l": [1, 2]}, {"x": "3", "t": None, "f": False}]
    text = "\n".join([json.dumps(lines[0]), "{broken", json.dumps(lines[1]), "[1]", json.dumps(lines[2])]) + "\n"
    frame, source = read(file(tmp_path, "d.jsonl", text))
    assert frame["x"].to_list() == [1.0, 2.5, 3.0]
    assert frame["t"].to_list() == ["a", "b", None]
    assert source.findings.as_list()[0]["rows"] == [2, 4]
    regular, _ = read(file(tmp_path, "e.jsonl", '{"x": 1, "l": [1], "f": true}\n{"x": 2, "l": null, "f": false}\n'))
    assert regular["x"].to_list() == [1.0, 2.0] and regular["l"].to_list() == [True, False]
    assert regular["f"].to_list() == ["true", "false"]


def test_parquet(tmp_path: Path) -> None:
    table = pl.DataFrame({"n": [1, 2, None], "b": [True, None, False], "d": [1.5, 2.5, 3.5], "l": [[1], None, [2]]})
    table.write_parquet(tmp_path / "d.parquet")
    frame, _ = read(tmp_path / "d.parquet")
    assert frame.rows() == [(1.0, "true", 1.5, True), (2.0, None, 2.5, False), (None, "false", 3.5, True)]


def call(data: str, content: str = "text/csv", encoding: str = "CSV", **meta: str) -> str:
    side = {"observedContentType": content, "mode": "INPUT", "data": data, "encoding": encoding}
    return json.dumps(
        {"captureData": {"endpointInput": side}, "eventMetadata": {"eventId": "e", **meta}, "eventVersion": "0"}
    )


def test_captured_calls(tmp_path: Path) -> None:
    lines = [
        call("1,a", eventId="one"),
        call("2,b\n3,c\n", eventId="two", inferenceId="mine"),
        call(base64.b64encode(b"4,d").decode(), encoding="BASE64"),
        call("not base64!", encoding="BASE64"),
        call('{"instances": [[5, "e"], [6, "f"]]}', "application/json", "JSON", eventId="five"),
        call(base64.b64encode(b'{"n": 7, "t": "g"}').decode(), "application/json", "BASE64"),
        call("eA==", "application/x-npy", "BASE64"),
        '{"captureData": {"endpointOutput": {}}}',
        "{broken",
    ]
    path = file(tmp_path, "calls.jsonl", "\n".join(lines) + "\n")
    frame, source = read(path, names=["n", "t"])
    assert sorted(frame["n"].to_list()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert sorted(frame["t"].to_list()) == list("abcdefg")
    assert sorted(kinds(source)) == ["broken_rows", "no_payload", "unreadable_payload", "unreadable_payload"]
    first = next(iter(Source(path, names=["n", "t"]).batches()))
    assert [first.reference(place)["event_id"] for place in range(3)] == ["one", "mine", "mine"]


@pytest.mark.parametrize("document, rows", [
    ({"a": 1}, [{"a": 1}]),
    ([[1, 2], [3, 4]], [{"x": 1, "_c1": 2}, {"x": 3, "_c1": 4}]),
    ([1, 2], [{"x": 1, "_c1": 2}]),
    ({"instances": [{"features": [1]}, {"features": [2]}]}, [{"x": 1}, {"x": 2}]),
    ({"instances": [{"a": 1}, {"a": 2}]}, [{"a": 1}, {"a": 2}]),
])  # fmt: skip
def test_forms_of_json_payloads(document: Any, rows: list[dict[str, Any]]) -> None:
    assert capture.json_rows(document, ["x"]) == rows


@pytest.mark.parametrize("document", [[], 5, "text", None, [[1], 2]])
def test_json_payloads_without_rows(document: Any) -> None:
    with pytest.raises(ValueError):
        capture.json_rows(document, None)


def test_a_folder_of_files_with_an_empty_one_and_another_column(tmp_path: Path) -> None:
    file(tmp_path, "1.csv", "x,y\n1,2\n")
    file(tmp_path, "2.csv", "")
    file(tmp_path, "3.csv", "x,z\n3,4\n")
    file(tmp_path, "_SUCCESS", "")
    source = Source(tmp_path)
    made = make_baseline(source)
    assert kinds(source) == ["empty_file"]
    assert {each["name"]: each["completeness"] for each in made.constraints["features"]} == {"x": 1, "y": 0.5, "z": 0.5}


def test_memory_is_kept_by_column_not_by_row(tmp_path: Path) -> None:
    """What a profile keeps stops growing; the batches are dropped one after the other."""
    from orchestrator.runtime.monitoring.profile import Profile

    random = np.random.default_rng(0)
    pl.DataFrame({"x": random.normal(size=300_000), "t": random.integers(0, 9, 300_000)}).write_csv(tmp_path / "d.csv")
    profile, sizes = Profile(), []
    for batch in Source(tmp_path / "d.csv").batches():
        profile.update(batch)
        assert batch.frame.height < 250_000
        sizes.append(len(profile.columns["x"].distribution().values))  # type: ignore[union-attr]
    assert profile.rows == 300_000
    assert max(sizes) <= 8192 * (8 + 4)


def test_ignored_columns_and_output_side(tmp_path: Path) -> None:
    frame, _ = read(file(tmp_path, "d.csv", "x,label\n1,0\n"), ignore=["label"])
    assert frame.columns == ["x"]
    answer = {"captureData": {"endpointOutput": {"observedContentType": "text/csv", "data": "0.7", "encoding": "CSV"}}}
    path = file(tmp_path, "c.jsonl", json.dumps(answer) + "\n")
    frame, _ = read(path, part=capture.Part.OUTPUT, format=Format.CAPTURE)
    assert frame.rows() == [(0.7,)]
    assert monitoring_config()["distribution_constraints"]["comparison_threshold"] == 0.1


def side(data: str, content: str = "text/csv") -> dict[str, str]:
    return {"observedContentType": content, "data": data, "encoding": "CSV"}


def test_answers_stand_before_their_rows_when_both_sides_are_looked_at(tmp_path: Path) -> None:
    calls = [
        {"endpointInput": side("1,2"), "endpointOutput": side("0.7")},
        {"endpointInput": side("3,4\n5,6\n"), "endpointOutput": side("0.8,0.9")},
        {"endpointInput": side("7,8\n9,10"), "endpointOutput": side("0.1\n0.2\n")},
        {"endpointInput": side("1,2\n3,4"), "endpointOutput": side("0.5\n0.5\n0.5")},
        {"endpointInput": side("1,2")},
        {"endpointInput": side("1,2"), "endpointOutput": side("{}", "application/json")},
    ]
    text = "".join(json.dumps({"captureData": call}) + "\n" for call in calls)
    path = file(tmp_path, "c.jsonl", text)
    frame, source = read(path, part=capture.Part.BOTH, format=Format.CAPTURE, names=["y", "a", "b"])
    assert frame.columns == ["y", "a", "b"]
    assert frame.rows() == [(0.7, 1, 2), (0.8, 3, 4), (0.9, 5, 6), (0.1, 7, 8), (0.2, 9, 10)]
    noticed = {each["kind"]: each["rows"] for each in source.findings.as_list()}
    assert noticed == {"broken_rows": [4], "no_payload": [5], "unreadable_payload": [6]}


CELLS = st.sampled_from(
    [
        "1",
        "-2.5",
        "",
        "abc",
        '"q"',
        '"',
        'a"b',
        '"x,y"',
        '"x\ny"',
        "1e999",
        "nan",
        "inf",
        "é",
        "\ufeff",
        "\0",
        "\r",
        " 5 ",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["", "7", "é", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.sampled_from(["x", "y", "größe"]), VALUES, max_size=3)
TEXTS = st.one_of(
    st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=12).map("\n".join).map(str.encode),
    st.lists(OBJECTS.map(json.dumps) | st.just("{"), max_size=8).map("\n".join).map(str.encode),
    st.binary(max_size=200),
)


@given(TEXTS, st.sampled_from(["f.csv", "f.tsv", "f.jsonl", "f.parquet"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_whatever_it_holds_makes_a_monitor_crash(tmp_path: Path, content: bytes, name: str) -> None:
    path = file(tmp_path, name, content)
    try:
        made = make_baseline(Source(path))
        done = analyze(Source(path), made.statistics, made.constraints, Policy())
    except MonitoringError as error:
        assert error.message
    else:
        json.dumps([made.statistics, made.constraints, done.statistics, done.violations], allow_nan=False)
        report(made.statistics, done.statistics, done.violations).encode()


def test_a_column_that_begins_with_missing_spellings_may_become_anything(tmp_path: Path) -> None:
    path = file(tmp_path, "d.csv", "x,y\nnan,none\n1,text")
    features = make_baseline(Source(path)).constraints["features"]
    kept = {each["name"]: (each["inferred_type"], each["completeness"]) for each in features}
    assert kept == {"x": ("Integral", 0.5), "y": ("String", 0.5)}
