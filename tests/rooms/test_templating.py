"""Values stay values: whatever they hold, the document around them keeps its shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import BadRequest, BlueprintBroken
from orchestrator.templating import canonical, identifier, render_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PAGE = """
Resources:
  Thing:
    Value: {{ value }}
    List: [{{ value }}, plain, {{ text }}]
    {{ text }}: key
    After: !Ref Thing
"""


def document(folder: Path, source: str, strict: bool = True, **names: Any) -> Any:
    (folder / "page.yaml.j2").write_text(source)
    return render_document((folder,), "page.yaml.j2", names, strict=strict)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "page.yaml.j2").write_text(PAGE)
    return folder


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=JSON, text=st.text())
def test_every_value_comes_out_as_it_went_in(page: Path, value: Any, text: str) -> None:
    try:
        thing = render_document((page,), "page.yaml.j2", {"value": value, "text": text})["Resources"]["Thing"]
    except BadRequest as refused:
        assert "Ref" in str(refused) or "Fn::" in str(refused) or "{{resolve:" in str(refused)
    except BlueprintBroken:
        assert text in ("Value", "List", "After")
    else:
        assert thing == {"Value": value, "List": [value, "plain", text], text: "key", "After": {"Ref": "Thing"}}


@pytest.mark.parametrize("value", ["5e-324", "0x1F", "yes", "null", "2001-01-01", "~", "\U0001f600", "\x85", "\u2028"])
def test_texts_that_yaml_would_read_otherwise_stay_texts(tmp_path: Path, value: str) -> None:
    assert document(tmp_path, "a: {{ v }}", v=value) == {"a": value}


def test_numbers_and_objects_stay_what_they_are(tmp_path: Path) -> None:
    value = {"n": 5e-324, "b": True, "l": [1, {"x": None}]}
    assert document(tmp_path, "a: {{ v }}", v=value) == {"a": value}


@pytest.mark.parametrize(
    "source", ["a: x-{{ v }}", "a: x{{ v }}y", "a: |\n  {{ v }}\n", 'a: "x {{ v }}"', "{{ v }}x: 1"]
)
def test_an_expression_is_a_whole_value(tmp_path: Path, source: str) -> None:
    with pytest.raises(BlueprintBroken):
        document(tmp_path, source, v="text")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("a: {{ v }}", "{{resolve:secretsmanager:prod:SecretString:pw}}"),
        ("a: {{ v }}", {"nested": ["{{resolve:ssm:x}}"]}),
        ("a: {{ v }}", {"Ref": "AWS::AccountId"}),
        ("a: {{ v }}", [{"Fn::Sub": "${AWS::AccountId}"}]),
        ("a: !Sub {{ v }}", "${AWS::AccountId}"),
        ("Input.$: {{ v }}", "$.Secret"),
        ("Parameters: {Name.$: {{ v }}}", "States.Format('{}', $)"),
    ],
)
def test_a_value_is_never_an_instruction(tmp_path: Path, source: str, value: Any) -> None:
    with pytest.raises(BadRequest):
        document(tmp_path, source, v=value)


def test_a_value_may_look_like_one_where_nothing_acts_on_it(tmp_path: Path) -> None:
    assert document(tmp_path, "a: {{ v }}", v="${HOME} $.x {% x %} {{ 7*7 }}") == {"a": "${HOME} $.x {% x %} {{ 7*7 }}"}


def test_a_value_is_no_template(tmp_path: Path) -> None:
    assert document(tmp_path, "a: {{ v }}\nb: {{ w }}", v="{{ w }}", w="secret")["a"] == "{{ w }}"


def test_a_key_cannot_stand_twice(tmp_path: Path) -> None:
    with pytest.raises(BlueprintBroken, match="twice"):
        document(tmp_path, "a: 1\na: 2")
    with pytest.raises(BlueprintBroken, match="twice"):
        document(tmp_path, "{{ x }}: 1\n{{ y }}: 2", x="same", y="same")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(BlueprintBroken, match="size"):
        document(tmp_path, "a: {{ shape.size }}", shape={})
    with pytest.raises(BlueprintBroken, match="size"):
        document(tmp_path, "{% if shape.size %}a: 1{% endif %}", shape={})
    loose = "{% if config.size %}a: 1{% else %}a: 2{% endif %}"
    assert document(tmp_path, loose, strict=False, config={}) == {"a": 2}
    with pytest.raises(BlueprintBroken, match="size"):
        document(tmp_path, "a: {{ config.size }}", strict=False, config={})


def test_the_sandbox_holds(tmp_path: Path) -> None:
    for source in ("a: {{ ''.__class__.__mro__ }}", "{% for x in l.append(1) %}{% endfor %}a: 1"):
        with pytest.raises(BlueprintBroken):
            document(tmp_path, source, l=[])


def test_fragments_see_the_names_of_their_place(tmp_path: Path) -> None:
    (tmp_path / "item.yaml.j2").write_text("  - {{ item }}\n")
    source = 'a:\n{% for item in items %}\n{% include "item.yaml.j2" %}\n{% endfor %}\n'
    assert document(tmp_path, source, items=["x", "y"]) == {"a": ["x", "y"]}


def test_short_forms_are_cloudformation_functions(tmp_path: Path) -> None:
    source = "a: !GetAtt Role.Arn\nb: !If [C, !Ref A, !Sub '${B}']\nc: !Join ['', [!Select [0, !Split ['/', x]]]]"
    assert document(tmp_path, source) == {
        "a": {"Fn::GetAtt": ["Role", "Arn"]},
        "b": {"Fn::If": ["C", {"Ref": "A"}, {"Fn::Sub": "${B}"}]},
        "c": {"Fn::Join": ["", [{"Fn::Select": [0, {"Fn::Split": ["/", "x"]}]}]]},
    }
    with pytest.raises(BlueprintBroken):
        document(tmp_path, "a: !!python/object/apply:os.system ['true']")


def test_identifiers_are_letters_and_digits(tmp_path: Path) -> None:
    assert document(tmp_path, "{{ 'my-model.v2' | ident }}: 1") == {"MyModelV2": 1}
    assert identifier("a_b") == "AB"
    with pytest.raises(BadRequest):
        identifier("--")


@given(JSON)
def test_canonical_is_stable_and_reads_back(value: Any) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)
    assert canonical(value).isascii()
