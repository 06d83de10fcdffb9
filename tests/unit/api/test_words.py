"""Numbers of things, as people say them."""

from __future__ import annotations

import pytest

from alcove_api.words import count_answers, count_of, format_bytes, write_place


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1000, "1,000 files")]
)
def test_one_thing_is_not_called_several(number: int, said: str) -> None:
    assert count_of(number, "file") == said


def test_what_an_example_is_asked_for_is_named() -> None:
    assert count_answers(1, are_numbers=True) == "1 number to predict"
    assert count_answers(2, are_numbers=True) == "2 numbers to predict"
    assert count_answers(1, are_numbers=False) == "1 label"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (3 << 19, "1.5 MiB"),
        (7 << 30, "7.0 GiB"),
        (1 << 51, "2,048.0 TiB"),
    ],
)
def test_bytes_have_a_unit_that_fits(count: int, said: str) -> None:
    assert format_bytes(count) == said


def test_a_shared_rank_has_a_sign_behind_it() -> None:
    assert [write_place(2, shared) for shared in (False, True)] == ["2", "2="]
