"""The calibration's table of docs/science.md is a part of the tables that its command has printed."""

from __future__ import annotations

import re

import pytest

from bench.calibration import TABLES
from tests.unit.docs.pages import REPOSITORY

PAGE = (REPOSITORY / "docs" / "science.md").read_text()
RESULTS = (REPOSITORY / "bench" / "RESULTS.md").read_text()
PERCENT = re.compile(r"([\d.]+) %")


def read_rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


SHOWN = [row for row in read_rows(PAGE) if len(row) == 7 and " × " in row[1]]


def find_printed(source: str, size: str, order: str) -> dict[str, str]:
    """Cells of the row by their heading."""
    header: list[str] = []
    for row in read_rows(RESULTS):
        if "true order" in row:
            header = row
        # Of two columns of one heading the first is Alcove's, the second of what it is compared with.
        cells = dict(reversed(list(zip(header, row, strict=False))))
        if cells.get("participants × datasets") != size or cells.get("true order") != order:
            continue
        noise = cells.get("noise of a run")
        if source == (f"all, noise of a run {noise}" if noise else cells.get("what else could have been")):
            return cells
    raise AssertionError(f"no row of {source}, {size}, {order}")


def test_the_page_shows_many_rows() -> None:
    assert len(SHOWN) > 15


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: ", ".join(row[:3]))
def test_a_row_of_the_page_is_one_that_was_printed(row: list[str]) -> None:
    printed = find_printed(*row[:3])
    headings = (
        "ranks covered ± standard error", "least covered participant", "means covered", "percentile bootstrap",
    )  # fmt: skip
    for shown, heading in zip(row[3:], headings, strict=True):
        assert shown == "–" or PERCENT.findall(shown) == PERCENT.findall(printed[heading])


@pytest.mark.parametrize("name", ["sources", "all", "narrow"])
def test_the_command_prints_rows_as_long_as_their_heading(name: str) -> None:
    rows = list(TABLES[name](1))
    assert len(rows) > 5
    assert len({row.count(" | ") for row in rows[:1] + rows[2:]}) == 1
