"""What the operator makes of records that the store no longer holds as they were."""

from __future__ import annotations

from typing import Any

import pytest

from alcove_api.score_documents import STORE_DAMAGED
from alcove_operator.core import run_ends
from tests.unit.operator_core.cluster import Cluster

DAMAGED = "runs/u/d1/1-p/rec/00000001.json is missing from the store"


def settled(cluster: Cluster) -> dict[str, Any]:
    cluster.settle()
    assert cluster.submission is not None
    return dict(cluster.submission["status"])


def test_a_damaged_run_is_the_platforms_and_the_others_count() -> None:
    status = settled(Cluster({"d0": ["exit"], "d1": ["exit"]}, damage={"d1": DAMAGED}))
    sound, damaged = status["runs"]
    assert (status["phase"], sound["phase"], sound["alc"]) == ("Done", "Done", 0.123)
    assert (damaged["phase"], damaged["cause"], damaged["chargedTo"]) == ("Failed", STORE_DAMAGED, "Platform")
    assert DAMAGED in damaged["message"]
    assert "alc" not in damaged


def test_where_all_is_damaged_the_quota_is_given_back() -> None:
    cluster = Cluster({"d1": ["exit"]}, damage={"d1": DAMAGED})
    status = settled(cluster)
    assert status["phase"] == "Failed"
    assert (cluster.usage.total, cluster.usage.settling) == (0, ())


@pytest.mark.parametrize("feedback", ["live", "none"])
def test_the_verdict_carries_the_recorders_head(feedback: str) -> None:
    cluster = Cluster({"d0": ["exit"]}, feedback=feedback)
    cluster.settle()
    assert cluster.verdicts["d0"].head == "a" * 64
    named = {image.container: image.image_id for image in cluster.verdicts["d0"].images}
    assert named == {"recorder": "r.example/recorder@sha256:1"}


@pytest.mark.parametrize("feedback", ["live", "none"])
def test_the_verdict_says_where_the_time_went_and_why_it_ended(feedback: str) -> None:
    cluster = Cluster({"d0": ["exit"]}, feedback=feedback)
    cluster.settle()
    said = cluster.verdicts["d0"]
    waits = [said.queued_at, said.created_at, said.pulled_at, said.staged_at, said.launched_at]
    known = [at for at in waits if at is not None]
    assert len(known) == len(waits)
    assert known == sorted(known)
    # As the recorder said it: a status has whole seconds.
    assert said.started_at is not None
    assert said.started_at.microsecond == 250_000
    assert said.ended_at is not None
    assert said.message.startswith("The program ended with ")


@pytest.mark.parametrize("lost", [False, True], ids=["verdict read", "verdict gone"])
def test_after_the_reveal_a_run_says_why_and_when_it_ended(lost: bool) -> None:
    cluster = Cluster({"d0": ["exit"]}, feedback="none")
    cluster.lose_verdicts = lost
    cluster.settle()
    (hidden,) = next(s for s in reversed(cluster.history) if s["runs"][0]["message"] == run_ends.HIDDEN)[
        "runs"
    ]
    assert hidden.keys() & {"startedAt", "endedAt"} == set()
    assert (hidden["cause"], hidden["head"]) == ("ExitCode", "")
    (run,) = cluster.history[-1]["runs"]
    if lost:
        assert run["message"] == ""
        return
    assert run["message"] == f"{cluster.verdicts['d0'].message} Last output:\nlast words"
    assert run["startedAt"] < run["endedAt"]
    assert run["head"] == "a" * 64
