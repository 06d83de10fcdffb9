"""Labels in a cell, and the table of all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_toolkit.convert.labels import LabelBuilder, parse_label_cell, parse_score
from alcove_toolkit.errors import SourceError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters=";:"), min_size=1).filter(
    lambda name: name == name.strip()
)
SCORES = st.floats(0, 1, allow_subnormal=False)


@given(st.lists(NAMES, unique=True), st.sampled_from(("", " ", "\t")))
def test_names_between_separators_come_back(names: list[str], space: str) -> None:
    cell = ";".join(f"{space}{name}{space}" for name in names)
    assert parse_label_cell(cell, "here", separator=";", confidence=False) == dict.fromkeys(names, 1.0)


@given(st.dictionaries(NAMES, SCORES))
def test_scores_come_back(labels: dict[str, float]) -> None:
    cell = ";".join(f"{name}:{score!r}" for name, score in labels.items())
    assert parse_label_cell(cell, "here", separator=";", confidence=True) == labels


@given(st.text(), st.booleans())
def test_any_text_is_labels_or_an_error_with_its_place(cell: str, confidence: bool) -> None:
    found, message = None, ""
    try:
        found = parse_label_cell(cell, "t.csv, row 7", separator=";", confidence=confidence)
    except SourceError as error:
        message = str(error)
    if found is None:
        assert message.startswith("t.csv, row 7: ")
        return
    assert all(name and name == name.strip() and 0 <= score <= 1 for name, score in found.items())
    assert bool(found) == bool(cell.strip())


def test_a_colon_belongs_to_the_name_unless_scores_are_asked_for() -> None:
    assert parse_label_cell("ratio:1", "here", separator=";", confidence=False) == {"ratio:1": 1.0}
    assert parse_label_cell("a:b:0.5;c", "here", separator=";", confidence=True) == {"a:b": 0.5, "c": 1.0}
    assert parse_label_cell("a;b", "here", separator="", confidence=False) == {"a;b": 1.0}


@pytest.mark.parametrize("cell", ["1.1", "-0.1", "nan", "inf", "high", ""])
def test_what_is_no_confidence(cell: str) -> None:
    with pytest.raises(SourceError, match="not a confidence"):
        parse_score(cell, "here")


@given(st.lists(st.dictionaries(NAMES, SCORES, max_size=4), max_size=20))
def test_the_table_of_all_gives_back_each(items: list[dict[str, float]]) -> None:
    builder = LabelBuilder()
    for labels in items:
        builder.add(labels)
    table = builder.build()
    assert len(table) == len(items)
    assert set(table.names) == {name for labels in items for name in labels}
    for i, labels in enumerate(items):
        got = {table.names[index]: score for index, score in table.of(i).items()}
        assert got == pytest.approx(labels)


def test_names_are_in_order_whatever_came_first() -> None:
    for cells, order in ((["10", "9", "-1"], ("-1", "9", "10")), (["b", "10", "9"], ("10", "9", "b"))):
        builder = LabelBuilder()
        for cell in cells:
            builder.add({cell: 1.0})
        assert builder.build().names == order
