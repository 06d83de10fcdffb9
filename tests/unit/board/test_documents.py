"""What programs get, and what of a hidden phase they do not."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alcove_board.pages import extract_body, index_document, index_page, table_csv
from alcove_board.published import read_phases
from alcove_board.rendered import HTML, render
from alcove_scorer.board import as_document
from alcove_scorer.board_page import board_html
from tests.unit.scorer.test_pages import HOSTILE, board, scored

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def leaderboard(phase: str, **rules: Any) -> dict[str, Any]:
    status = {"generation": 3, "teams": 2, "leaders": "1 red", "updatedAt": "2026-03-01T11:00:00Z",
              "files": [{"name": "table.json", "sha256": "0" * 64}]}  # fmt: skip
    spec = {"competition": "cup", "phase": phase, "rules": rules}
    return {"metadata": {"name": f"cup-{phase}"}, "spec": spec, "status": status}


def test_a_table_for_spreadsheets_has_every_score_and_says_why_one_is_missing() -> None:
    made = board(
        ("red", (scored("a", 0.75), scored("b", 0.5))), ("blue", (scored("a", cause="OutOfMemory"),))
    )
    document = as_document(made, NOON)
    rows = list(csv.DictReader(io.StringIO(table_csv(json.dumps(document).encode()).decode())))
    assert [row["team"] for row in rows] == ["red", "blue"]
    assert float(rows[0]["a_alc"]) == 0.75
    assert rows[1]["a_alc"] == rows[1]["b_alc"] == ""
    assert rows[1]["a_cause"] == "OutOfMemory"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", HOSTILE])
def test_a_spreadsheet_takes_no_name_for_a_formula(name: str) -> None:
    made = board((name, (scored("a", 0.75),)))
    (row,) = csv.DictReader(io.StringIO(table_csv(json.dumps(as_document(made, NOON)).encode()).decode()))
    assert not row["team"].startswith(("=", "+", "-", "@"))
    assert row["team"].removeprefix("'") == name


def test_a_board_without_entries_is_a_table_without_rows() -> None:
    assert table_csv(json.dumps(as_document(board(), NOON)).encode()).count(b"\n") == 1


def test_the_list_of_competitions_says_nothing_of_a_hidden_phase_but_its_rules() -> None:
    later = (NOON + timedelta(hours=1)).isoformat()
    phases = read_phases(
        [leaderboard("open"), leaderboard("blind", revealsAt=later), leaderboard("mute", feedback="none")]
    )
    document = json.loads(index_document(phases, NOON))
    shown = {said["phase"]: said.keys() & {"generation", "teams", "updatedAt"} for said in document["phases"]}
    assert shown == {"open": {"generation", "teams", "updatedAt"}, "blind": set(), "mute": set()}
    page = index_page(phases, NOON).decode()
    assert page.count("1 red") == 1
    assert "Results are shown from 2026-03-01 13:00 UTC." in page
    assert index_page(phases, NOON + timedelta(hours=1)).decode().count("1 red") == 2


def test_a_leaderboard_of_a_newer_operator_is_read_and_a_damaged_one_hides_no_other() -> None:
    newer = leaderboard("newer", of_tomorrow=1)
    newer["spec"]["ofTomorrow"] = newer["status"]["ofTomorrow"] = 1
    damaged = leaderboard("damaged", opensAt="soon")
    empty = {"metadata": {"name": "empty"}}
    phases = read_phases([empty, damaged, newer, leaderboard("practice")])
    assert [phase for _, phase in phases.phases] == ["newer", "practice"]
    assert phases.unreadable.keys() == {"empty", "cup-damaged"}
    assert "opensAt" in phases.unreadable["cup-damaged"]
    assert "2 phases cannot be shown" in index_page(phases, NOON).decode()
    assert json.loads(index_document(phases, NOON))["unreadable"] == 2


def test_the_first_page_says_where_there_are_more_phases_than_it_shows() -> None:
    for cut in (True, False):
        phases = read_phases([leaderboard("practice")], cut=cut)
        assert ("more phases than this server shows" in index_page(phases, NOON).decode()) == cut
        assert json.loads(index_document(phases, NOON))["cut"] == cut


def test_the_body_of_a_stored_page_is_what_the_scorer_wrote_and_nothing_around_it() -> None:
    page = board_html(board((HOSTILE, (scored("a", 0.7),))), NOON)
    body = str(extract_body(page.encode()))
    assert body.strip().startswith("<header>")
    assert body.strip().endswith("</main>")
    assert "<style" not in body
    assert "<script" not in body


def test_an_answer_is_named_by_its_content() -> None:
    one, same, other = (render(text, HTML) for text in (b"a" * 5000, b"a" * 5000, b"b"))
    assert one == same
    assert one.etag != other.etag
    assert len(one.compressed) < 100
