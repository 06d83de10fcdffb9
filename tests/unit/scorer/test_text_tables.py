"""Tables fit a terminal, whatever is in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alcove_scorer.board import TABLE_CHARACTERS, as_text
from alcove_scorer.text_tables import WIDTH, fold_table
from alcove_scorer.written_text import count_cells

from .test_pages import board, scored

CELLS = st.text(st.characters(codec="utf-8", categories=("L", "N")), max_size=12)


@given(st.integers(1, 12).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1)))
def test_every_column_is_in_one_table_and_the_keys_in_all(rows: list[list[str]]) -> None:
    keys = min(2, len(rows[0]))
    tables = fold_table(rows, keys)
    assert all(len(lines) == len(rows) for lines in tables)
    for number, row in enumerate(rows):
        together = "".join("".join(lines[number].split()) for lines in tables)
        again = "".join(row[:keys]) * (len(tables) - 1)
        assert sorted(together) == sorted("".join("".join(row).split()) + again)
    assert all(count_cells(line) <= WIDTH for lines in tables for line in lines)


def test_a_board_fits_80_columns_with_any_number_of_datasets_and_any_names() -> None:
    for count in (1, 6, 10, 30):
        aliases = tuple(f"moving-characters-{i}" for i in range(count))
        teams = [
            (f"深層学習チーム-{'x' * 40}-{i}", tuple(scored(alias, 0.5 + i / 100) for alias in aliases))
            for i in range(3)
        ]
        teams.append(("crashed", tuple(scored(alias, cause="RecorderUnreachable") for alias in aliases)))
        lines = as_text(board(*teams, datasets=aliases, decimals=6)).splitlines()
        assert max(map(count_cells, lines)) <= WIDTH
        assert all(any(alias.upper() in line for line in lines) for alias in aliases)


def test_a_board_of_many_datasets_and_teams_is_cut_by_whole_rows() -> None:
    aliases = tuple(f"dataset-{i}" for i in range(60))
    teams = [(f"team-{i:03}", tuple(scored(alias, i / 200) for alias in aliases)) for i in range(120)]
    text = as_text(board(*teams, datasets=aliases))
    assert len(text) <= TABLE_CHARACTERS
    shown = [text.count(f"team-{i:03}") for i in range(120)]
    tables = text.count("RANK  TEAM")
    assert tables > 10
    assert set(shown) == {0, tables}, "a team is in every table or in none"
    assert text.endswith(f"… and {shown.count(0)} more in the store's table.json")
