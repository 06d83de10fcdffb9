"""`alcove pages`: what it finds in a real store, with the credentials that the chart gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from alcove_api import keys
from alcove_cli.pages import fetch_boards, fetch_reports
from alcove_store.client import put_bytes
from alcove_store.errors import StoreDeniedError
from tests.integration.store.conftest import SetUpStore

pytestmark = pytest.mark.integration


def test_boards_and_reports_are_fetched_under_names_of_people(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    stored = {
        keys.board("hack", "hack", "practice", "leaderboard.html"): b"practice",
        keys.board("hack", "hack", "practice", "table.json"): b"{}",
        keys.board("hack", "other", "practice", "leaderboard.html"): b"other",
        keys.board("hacker", "hacker", "practice", "leaderboard.html"): b"not mine",
        keys.report("uid-1"): b"report",
    }
    for key, data in stored.items():
        put_bytes(set_up_store.root, keys.MAIN_BUCKET, key, data)
    boards = fetch_boards(set_up_store.client("aggregate"), keys.MAIN_BUCKET, "hack", tmp_path)
    names = {"uid-1": ("hack-red", "first"), "uid-2": ("hack-red", "waits")}
    reports = fetch_reports(set_up_store.client("scorer"), keys.MAIN_BUCKET, names, tmp_path)
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in (*boards, *reports)}
    assert found == {
        "practice/leaderboard.html": b"practice",
        "other-practice/leaderboard.html": b"other",
        "hack-red/first.html": b"report",
    }
    assert not list(tmp_path.rglob(".*")), "a page is written whole or not at all"


def test_a_team_cannot_fetch_them(set_up_store: SetUpStore, tmp_path: Path) -> None:
    with pytest.raises(StoreDeniedError):
        fetch_boards(set_up_store.client("team-a"), keys.MAIN_BUCKET, "hack", tmp_path)
