"""Train and test: who goes where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from alcove_toolkit.convert.base import ItemKeys, SourceItems
from alcove_toolkit.convert.labels import LabelBuilder
from alcove_toolkit.convert.split import Split, SplitRequest, split_items
from alcove_toolkit.errors import SourceError


def items(labels: list[set[str]], **more: Any) -> SourceItems:
    builder = LabelBuilder()
    for names in labels:
        builder.add(dict.fromkeys(sorted(names), 1.0))
    return SourceItems(builder.build(), "row {}".format, **more)


def keys(values: list[str]) -> ItemKeys:
    names = sorted(set(values))
    return ItemKeys(np.array([names.index(value) for value in values], np.int64), tuple(names))


def parted(of: SourceItems, **asked: Any) -> Split:
    return split_items(of, SplitRequest(**asked), lambda: np.arange(len(of), dtype=np.float64) // 2)


def shares(labels: list[set[str]], found: Split) -> dict[str, float]:
    names = set().union(*labels)
    return {
        name: float(np.mean([t for t, of in zip(found.is_test, labels, strict=True) if name in of]))
        for name in names
    }


@given(st.lists(st.integers(2, 60), min_size=2, max_size=8), st.floats(0.2, 0.7), st.integers(0, 5))
@example([2, 2, 2, 12, 17, 54], 0.46875, 0)
@settings(max_examples=50, deadline=None)
def test_a_stratified_split_has_each_class_in_its_share(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = [{str(k)} for k, count in enumerate(counts) for _ in range(count)]
    found = parted(items(labels), how="stratified", test_fraction=fraction, seed=seed)
    wished = round(fraction * sum(counts)) / sum(counts)  # Of the whole number of examples that test gets.
    for k, share in shares(labels, found).items():
        count = counts[int(k)]
        assert 0 < share < 1
        assert abs(share * count - wished * count) <= 1.001


@given(st.lists(st.sets(st.sampled_from("abcdef"), max_size=3), min_size=30, max_size=120))
@example(
    [set()] * 20
    + [set(of) for of in ("c", "c", "e", "ab", "ab", "ab", "ad", "ad", "bd", "abc", "abd", "acd", "bd")]
)
@settings(max_examples=50, deadline=None)
def test_a_stratified_split_of_many_labels_has_about_the_share_of_each(labels: list[set[str]]) -> None:
    assume(any(len(of) != 1 for of in labels))
    found = parted(items(labels), how="stratified", test_fraction=0.4)
    assert abs(found.is_test.mean() - 0.4) < 0.15
    for name, share in shares(labels, found).items():
        count = sum(name in of for of in labels)
        assert abs(share * count - 0.4 * count) <= 3 + 0.15 * count


def test_one_example_of_a_class_cannot_be_stratified() -> None:
    labels = [{"a"}, {"b"}, {"a"}, {"c"}, {"b"}]
    with pytest.raises(SourceError, match=r"row 3: is the only example of label 'c'"):
        parted(items(labels))
    notes = parted(items(labels), how="random").notes
    assert len(notes) >= 1
    assert any("'c'" in note for note in notes)


@pytest.mark.parametrize(("how", "by"), [("group", None), ("shift", "group"), ("shift", "source")])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_groups_stay_whole(how: str, by: str | None, data: st.DataObject) -> None:
    groups = data.draw(st.lists(st.sampled_from("pqrstuv"), min_size=8, max_size=80))
    if len(set(groups)) < 2:
        return
    labels = [{"ab"[i % 2]} for i in range(len(groups))]
    found = parted(items(labels, group=keys(groups), source=keys(groups)), how=how, by=by)
    sides = {g: {bool(t) for t, h in zip(found.is_test, groups, strict=True) if g == h} for g in groups}
    assert all(len(side) == 1 for side in sides.values())
    assert 0 < found.is_test.sum() < len(groups)
    if by:
        held = [g for g in sides if sides[g] == {True}]
        assert all(repr(g) in found.text for g in held)


def test_a_shift_holds_out_what_is_named() -> None:
    labels = [{"ab"[i % 2]} for i in range(12)]
    sources = ["x", "y", "z"] * 4
    found = parted(items(labels, source=keys(sources)), how="shift", by="source", hold_out=("y",))
    assert found.is_test.tolist() == [s == "y" for s in sources]
    assert found.text.startswith("shift by source: test alone has 'y'")
    with pytest.raises(SourceError, match=r"no such source.*'x', 'y', 'z'"):
        parted(items(labels, source=keys(sources)), how="shift", by="source", hold_out=("q",))
    with pytest.raises(SourceError, match="would leave train empty"):
        parted(items(labels, source=keys(sources)), how="shift", by="source", hold_out=("x", "y", "z"))


def test_a_shift_by_size_has_the_largest_in_test() -> None:
    found = parted(items([{"ab"[i % 3 == 0]} for i in range(20)]), how="shift", by="size", test_fraction=0.3)
    assert found.is_test.tolist() == [i >= 14 for i in range(20)]


def test_a_shift_by_class_changes_shares_but_keeps_each_class_on_both_sides() -> None:
    labels = [{"abcd"[i % 4]} for i in range(400)]
    found = parted(items(labels), how="shift", by="class", hold_out=("a",))
    share = shares(labels, found)
    assert abs(found.is_test.mean() - 0.35) < 0.02
    assert share["a"] > 2 * share["b"] > 0
    assert all(0 < s < 1 for s in share.values())
    assert "of the examples of 'a'" in found.text


@pytest.mark.parametrize("how", ["stratified", "random", "group", "shift"])
def test_the_seed_decides(how: str) -> None:
    of = items([{"ab"[i % 2]} for i in range(60)], group=keys([str(i // 3) for i in range(60)]))
    asked: dict[str, Any] = {"how": how, "by": "class" if how == "shift" else None}
    first, again, other = (parted(of, seed=seed, **asked).is_test for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_split_of_the_source_is_taken_where_it_has_one() -> None:
    of = items([{"ab"[i % 2]} for i in range(6)], is_test=np.arange(6) > 3)
    assert parted(of).is_test.tolist() == [False] * 4 + [True] * 2
    assert parted(of, how="random", test_fraction=0.5).is_test.sum() == 3
    with pytest.raises(SourceError, match="no split of its own"):
        parted(items([{"a"}, {"b"}]), how="given")
    with pytest.raises(SourceError, match="would leave test empty"):
        parted(items([{"a"}, {"b"}], is_test=np.zeros(2, bool)))


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"test_fraction": 0.01}, "leaves test empty: there are 10 examples"),
        ({"test_fraction": 1.0}, "leaves train empty"),
        ({"how": "shift"}, "does not say what shifts"),
        ({"how": "shift", "by": "source"}, "--shift-by source: no source is known.* --source-column"),
        ({"how": "shift", "by": "size", "hold_out": ("a",)}, "sizes have no names"),
        ({"how": "shift", "by": "class", "hold_out": ("q",)}, "no such class"),
        ({"by": "class", "hold_out": ("q",)}, "no such class"),
        ({"how": "random", "by": "class"}, "--split random: holds nothing out"),
        ({"how": "group"}, "--split group: no group is known"),
        ({"hold_out": ("a",)}, "--split stratified: holds nothing out"),
    ],
)
def test_what_cannot_be_split(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        parted(items([{"ab"[i % 2]} for i in range(10)]), **asked)


def test_a_fraction_that_nothing_would_follow_is_refused() -> None:
    labels: list[set[str]] = [{"a"}, {"b"}] * 3
    sources = ["x", "x", "y", "y", "y", "y"]
    halved = items(labels, is_test=np.arange(6) > 3)
    with pytest.raises(SourceError, match="--test-fraction: has no effect: the source has a split"):
        parted(halved, test_fraction=0.5)
    of_sources = items(labels, source=keys(sources))
    with pytest.raises(SourceError, match="--test-fraction: has no effect: --hold-out says"):
        parted(of_sources, by="source", hold_out=("y",), test_fraction=0.5)
    assert parted(halved, how="stratified", test_fraction=0.5).is_test.sum() == 3


def test_groups_that_are_named_are_kept_whole_by_default() -> None:
    of_groups = items([{"a"}, {"b"}] * 6, group=keys(list("uuuvvvwwwxxx")))
    assert (parted(of_groups).is_test == parted(of_groups, how="group").is_test).all()
    assert parted(of_groups).text.startswith("group: ")
    assert parted(of_groups, how="stratified").text.startswith("stratified: ")
    assert parted(of_groups, by="class").text.startswith("shift by class")
