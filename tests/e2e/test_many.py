"""Whole submissions over six datasets, several at once, and the leaderboard that comes of them."""

from __future__ import annotations

from functools import partial

import pytest

from tests.demo.hackathon import Hackathon, wait_for
from tests.e2e import models
from tests.e2e.conftest import Team

pytestmark = pytest.mark.e2e


def test_several_submissions_that_end_together_make_one_right_leaderboard(
    red: Team, blue: Team, hackathon: Hackathon
) -> None:
    red.submit("old", models.SCHEDULED, phase="practice")
    blue.submit("only", models.SCHEDULED, phase="practice")
    red.until("old", seconds=240)
    blue.until("only", seconds=240)
    red.submit("new", models.SCHEDULED, phase="practice")
    red.until("new", seconds=240)

    def settled() -> bool:
        entries = hackathon.get("leaderboard", "practice").get("status", {}).get("entries", [])
        return {(e["team"], e["submission"]) for e in entries} == {
            (red.namespace, "new"),
            (blue.namespace, "only"),
        }

    wait_for("a leaderboard of the last submission of each team", settled)
    entries = hackathon.get("leaderboard", "practice")["status"]["entries"]
    for entry in entries:
        # The same predictions, a few milliseconds apart: the means are equal or not, and places follow them.
        ahead = [other for other in entries if other["averageRank"] < entry["averageRank"]]
        assert entry["rank"] == 1 + len(ahead)
        team = red if entry["team"] == red.namespace else blue
        wait_for("the rank on the submission", partial(_has_rank, team, entry["submission"], entry["rank"]))
        for score in entry["scores"]:
            assert score["alc"] == pytest.approx(team.run(entry["submission"], score["dataset"])["alc"])
    assert red.status("old").get("rank") is None, "a submission that no longer counts has no rank"
    table = hackathon.kubectl("get", "lb", "practice", "-n", hackathon.name, "-o", "jsonpath={.status.table}")
    assert red.namespace in table
    assert blue.namespace in table


def _has_rank(team: Team, submission: str, rank: int) -> bool:
    return bool(team.status(submission).get("rank") == rank)
