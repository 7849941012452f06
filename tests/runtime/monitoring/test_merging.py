"""Captured calls and the ground truth that came later, brought together."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runtime.monitoring.calls import LABEL, PREDICTION, PROBABILITY, Wanted
from orchestrator.runtime.monitoring.failures import InputMissing, InputUnreadable
from orchestrator.runtime.monitoring.merging import PART_BYTES, Merged, labelled_table, references
from orchestrator.runtime.monitoring.reading import Source

ANSWER = {"answer_type": "text/csv; charset=utf-8", "encoding": "CSV"}


def call(event: str, request: str, answer: str, *, inference: str = "", kind: str = "text/csv",
         encode: bool = False) -> str:  # fmt: skip
    def side(text: str) -> dict[str, Any]:
        data = base64.b64encode(text.encode()).decode() if encode else text
        encoding = "BASE64" if encode else ("JSON" if "json" in kind else "CSV")
        return {"observedContentType": kind, "mode": "INPUT", "data": data, "encoding": encoding}

    meta = {"eventId": event, "inferenceTime": "2026-01-01T00:00:00Z"} | (
        {"inferenceId": inference} if inference else {}
    )
    return json.dumps(
        {"captureData": {"endpointInput": side(request), "endpointOutput": side(answer)}, "eventMetadata": meta}
    )


def truth(event: str, data: str, encoding: str = "CSV") -> str:
    return json.dumps(
        {
            "groundTruthData": {"data": data, "encoding": encoding},
            "eventMetadata": {"eventId": event},
            "eventVersion": "0",
        }
    )


def merged(
    tmp_path: Path, calls: list[str], truths: list[str], part_bytes: int = PART_BYTES, **wanted: Any
) -> tuple[pl.DataFrame, Merged]:
    captured, labels = tmp_path / "captured" / "00", tmp_path / "labels" / "00"
    for folder, lines in ((captured, calls), (labels, truths)):
        folder.mkdir(parents=True, exist_ok=True)
        if lines:
            (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    done = Merged(captured.parent, labels.parent, Wanted(**({"prediction": "0"} | wanted)), part_bytes=part_bytes)
    frames = list(done.parts())
    return (pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()), done


def pairs(frame: pl.DataFrame) -> list[tuple[Any, Any]]:
    return [(row[PREDICTION], row[LABEL]) for row in frame.iter_rows(named=True)] if frame.height else []


def noticed(done: Merged) -> dict[str, int]:
    return {each["kind"]: each["count"] for each in done.findings.as_list()}


def test_ids_match_by_inference_id_and_else_by_event_id(tmp_path: Path) -> None:
    calls = [call("e1", "1,2", "0"), call("e2", "3,4", "1", inference="mine"), call("e3", "5,6", "1")]
    frame, done = merged(tmp_path, calls, [truth("e1", "0"), truth("mine", "1"), truth("e2", "0"), truth("x", "1")])
    assert pairs(frame) == [("0", "0"), ("1", "1")]
    assert done.coverage.as_dict() == {
        "rows": 3, "labelled": 2, "unlabelled": 1, "truths": 4, "unmatched": 2, "repeated": 0
    }  # fmt: skip
    assert noticed(done) == {}


def test_a_call_of_many_rows_has_as_many_labels(tmp_path: Path) -> None:
    calls = [call("a", "1\n2\n3", "7\n8\n9"), call("b", "1\n2", "5,6"), call("c", "1\n2", "5\n6")]
    truths = [truth("a", "70\n80\n90\n"), truth("b", "50,60"), truth("c", "1")]
    frame, done = merged(tmp_path, calls, truths)
    assert pairs(frame) == [("7", "70"), ("8", "80"), ("9", "90"), ("5", "50"), ("6", "60")]
    assert noticed(done) == {"rows_do_not_match": 2}
    assert [each.get("place_in_call") for each in references(frame)] == [0, 1, 2, 0, 1]
    assert next(iter(references(frame))) == {"file": "00/a.jsonl", "row": 1, "event_id": "a", "place_in_call": 0}


@pytest.mark.parametrize("request_, answer, attribute, expected", [
    ("[[1],[2]]", '{"predictions": [0.5, 2]}', "0", ["0.5", "2"]),
    ('{"instances": [[1], [2]]}', '{"predictions": [[0.5], [2]]}', "0", ["0.5", "2"]),
    ("[[1],[2]]", '{"predictions": [{"score": 0.5}, {"score": 2}]}', "score", ["0.5", "2"]),
    ("[[1],[2]]", '{"predictions": [{"score": 0.5}, {"score": 2}]}', "$.predictions[*].score", ["0.5", "2"]),
    ("[[1],[2]]", '{"predictions": [{"score": 0.5}, {"score": 2}]}', "predictions[*]['score']", ["0.5", "2"]),
    ("[[1]]", '{"predictions": [{"score": 0.5}]}', "predictions[0].score", ["0.5"]),
    ("[[1],[2]]", '{"label": ["a", "b"]}', "label", ["a", "b"]),
    ('{"x": 1}', '{"label": true}', "label", ["true"]),
    ("[[1]]", "[0.1, 0.9]", "1", ["0.9"]),
    ("[[1],[2]]", "[0.1, 0.9]", "0", ["0.1", "0.9"]),
    ("[[1]]", '[{"a": 3, "b": 4}]', "1", ["4"]),
    ("1", "12", "0", ["12"]),
])  # fmt: skip
@pytest.mark.parametrize("encode", [False, True])
def test_predictions_in_json(tmp_path: Path, request_: str, answer: str, attribute: str, expected: list[str],
                             encode: bool) -> None:  # fmt: skip
    calls = [call("e", request_, answer, kind="application/json", encode=encode)]
    labels = json.dumps([1] * len(expected))
    frame, done = merged(tmp_path, calls, [truth("e", labels, "JSON")], prediction=attribute)
    if request_ == "1":  # a request that is no row says nothing of their number
        assert done.coverage.rows == 1
    assert frame[PREDICTION].to_list() == expected, done.findings.as_list()


@pytest.mark.parametrize("data, encoding, expected", [
    ("1", "CSV", ["1"]), ("1.0", "CSV", ["1"]), ("1", "JSON", ["1"]), ("[1]", "JSON", ["1"]),
    ('{"label": 1.0}', "JSON", ["1"]), (base64.b64encode(b"1").decode(), "BASE64", ["1"]), ('"gut"', "CSV", ["gut"]),
    ('"gut"', "JSON", ["gut"]),
])  # fmt: skip
def test_forms_of_ground_truth(tmp_path: Path, data: str, encoding: str, expected: list[str]) -> None:
    frame, done = merged(tmp_path, [call("e", "1", "1")], [truth("e", data, encoding)])
    assert frame[LABEL].to_list() == expected, done.findings.as_list()


def test_the_later_of_two_records_counts(tmp_path: Path) -> None:
    frame, done = merged(
        tmp_path, [call("a", "1", "1"), call("b", "1", "1")],
        [truth("a", "0"), truth("b", "1"), truth("a", "1"), truth("b", "1")],
    )  # fmt: skip
    assert pairs(frame) == [("1", "1"), ("1", "1")]
    assert done.coverage.repeated == 2
    assert noticed(done) == {"corrected_ground_truth": 1}


def test_an_inference_id_that_was_given_twice_labels_the_first_call(tmp_path: Path) -> None:
    calls = [call("a", "1\n2", "1\n2", inference="i"), call("b", "1\n2", "3\n4", inference="i")]
    frame, done = merged(tmp_path, calls, [truth("i", "5\n6")])
    assert pairs(frame) == [("1", "5"), ("2", "6")]
    assert done.coverage.as_dict()["unlabelled"] == 2 and noticed(done) == {"repeated_id": 2}


def test_what_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    nothing = json.loads(call("n", "1", "1"))
    del nothing["captureData"]["endpointOutput"]
    calls = [
        "{", "[]", json.dumps(nothing), call("", "1", "1"), call("img", "1", "1", kind="image/png", encode=True),
        call("bad", "1", "@@").replace('"CSV"', '"BASE64"'), call("ok", "1", "1"),
        call("rows", "1\n2\n3", "1\n2"), call("json", "{", "}{", kind="application/json"),
    ]  # fmt: skip
    truths = ["{", '{"groundTruthData": {}}', truth("", "1"), truth("ok", ""), truth("ok", "[[[1]]]", "JSON"),
              truth("ok", "1")]  # fmt: skip
    frame, done = merged(tmp_path, calls, truths)
    assert pairs(frame) == [("1", "1")]
    assert noticed(done) == {
        "broken_rows": 4, "no_payload": 1, "unreadable_payload": 1, "rows_do_not_match": 1, "no_id": 1,
        "corrected_ground_truth": 1,
    }  # fmt: skip


def test_empty_windows_and_folders_that_are_not_there(tmp_path: Path) -> None:
    frame, done = merged(tmp_path, [], [truth("a", "1")])
    assert frame.height == 0 and done.coverage.unmatched == 1
    frame, done = merged(tmp_path / "other", [call("a", "1", "1")], [])
    assert frame.height == 0 and done.coverage.unlabelled == 1
    with pytest.raises(InputMissing, match="nowhere"):
        Merged(tmp_path / "nowhere", tmp_path, Wanted())


@pytest.mark.parametrize("text", ["a[?(@.b)]", "$", "", "a[1:2]", "a..b", "[", "a b[x]"])
def test_attributes_that_are_none_are_refused(text: str) -> None:
    if not text:
        return
    with pytest.raises(InputUnreadable, match="no place, name or simple JSONPath"):
        Wanted(prediction=text)


def test_features_stand_beside(tmp_path: Path) -> None:
    calls = [
        call("a", "1,x\n2,y", "0\n1"),
        call("b", '{"features": [3, "z"]}', '{"p": 1}', kind="application/json"),
        call("c", '{"instances": [{"age": 4, "city": "w"}]}', '{"p": 0}', kind="application/json"),
        call("short", "9", "1"),
    ]
    truths = [truth("a", "1\n1"), truth("b", "0"), truth("c", "1"), truth("short", "1")]
    frame, done = merged(tmp_path, calls, truths, features=True, names=["age", "city"], probability="p")
    assert frame.select("age", "city", LABEL).rows() == [
        (1.0, "x", "1"), (2.0, "y", "1"), (3.0, "z", "0"), (4.0, "w", "1")
    ]  # fmt: skip
    assert frame[PROBABILITY].to_list() == [None, None, 1.0, 0.0]
    assert noticed(done) == {"broken_rows": 1}


def test_features_at_a_path(tmp_path: Path) -> None:
    calls = [call("a", '{"customer": {"row": [1, 2]}}', "1", kind="application/json")]
    frame, _ = merged(
        tmp_path, calls, [truth("a", "1")], features=True, features_attribute="customer.row", names=["x", "y"]
    )
    assert frame.select("x", "y").rows() == [(1.0, 2.0)]


@pytest.mark.parametrize("parts", [1, 7])
def test_large_windows_are_matched_in_parts(tmp_path: Path, parts: int) -> None:
    calls = [call(f"e{n}", f"{n}", f"{n % 3}") for n in range(500)]
    truths = [truth(f"e{n}", f"{n % 2}") for n in reversed(range(100, 600))]
    size = sum(map(len, calls)) + len(calls)
    frame, done = merged(tmp_path, calls, truths, part_bytes=-(-size // parts), features=True, names=["n"])
    assert done.coverage.as_dict() == {
        "rows": 500, "labelled": 400, "unlabelled": 100, "truths": 500, "unmatched": 100, "repeated": 0
    }  # fmt: skip
    assert sorted(frame.select("n", PREDICTION, LABEL).rows()) == [
        (float(n), str(n % 3), str(n % 2)) for n in range(100, 500)
    ]


def test_tables_that_carry_their_labels(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,label,p,score\n30,1.0,1,0.9\n40,0,1,0.4\n50,,0,\n")
    source = Source(tmp_path / "t.csv")
    (frame,) = labelled_table(source, label="label", prediction="p", probability="score")
    assert frame.select("age", LABEL, PREDICTION, PROBABILITY).rows() == [(30.0, "1", "1", 0.9), (40.0, "0", "1", 0.4)]
    assert list(references(frame)) == [{"file": "t.csv", "row": 1}, {"file": "t.csv", "row": 2}]
    with pytest.raises(InputUnreadable, match="no column nothing"):
        list(labelled_table(Source(tmp_path / "t.csv"), label="nothing"))


words = st.text(st.characters(), max_size=6)
"""Half characters too, which JSON can carry."""
junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(request=junk | words, answer=junk | words, label=junk | words,
       kind=st.sampled_from(["text/csv", "application/json"]), features=st.booleans(),
       attribute=st.sampled_from(["0", "1", "a", "$.predictions[*].a"]))  # fmt: skip
def test_no_payload_makes_it_fail(tmp_path_factory: pytest.TempPathFactory, request: Any, answer: Any, label: Any,
                                  kind: str, features: bool, attribute: str) -> None:  # fmt: skip
    texts = [each if isinstance(each, str) else json.dumps(each) for each in (request, answer, label)]
    calls = [call("a", texts[0], texts[1], kind=kind), call("b", "1,2", "3")]
    truths = [truth("a", texts[2]), truth("a", texts[2], "JSON"), truth("b", "1")]
    folder = tmp_path_factory.mktemp("junk")
    frame, done = merged(folder, calls, truths, prediction=attribute, features=features)
    assert done.coverage.rows == done.coverage.labelled + done.coverage.unlabelled
    assert frame.height == done.coverage.labelled
