"""When the board of a phase is made again."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from alcove_api.board_documents import AggregateRequest
from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.leaderboard import Entry, LeaderboardStatus, PublishedRules
from alcove_api.submission import RunStatus, SubmissionSpec, SubmissionStatus
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import LEADERBOARDS, SUBMISSIONS, Resource
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import parse_objects, scoring
from alcove_operator.core import status as statuses
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.executor import Executor
from alcove_operator.index import Index
from alcove_operator.job_credentials import JobCredentials
from alcove_operator.metrics import Metrics
from alcove_operator.preparation import ready_condition
from alcove_operator.rankings import Rankings
from alcove_operator.records import BoardRecord, JobRecord
from alcove_operator.service import Service
from alcove_operator.store import OperatorStore
from alcove_operator.team_list import TeamList
from tests.unit.operator_core.cluster import START
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.virtual_time import run, wait_until

REVEAL = START + timedelta(days=1)
SETTINGS = OperatorSettings(
    namespaces=("comp",), competition_namespace="comp", image_ingestion="i", image_recorder="r",
    image_scorer="s", store_endpoint="http://store:9000", store_credentials=Path("credentials.json"),
)  # fmt: skip
PHASE = {
    "name": "final", "datasets": ["ds"], "budget": {"seconds": 9}, "feedback": {"mode": "none"},
    "revealsAt": REVEAL.isoformat(),
}  # fmt: skip
COMPETITION = CompetitionView(
    "comp", "cup", "u", CompetitionSpec.model_validate({"phases": [PHASE]}), CompetitionStatus()
)


def teams_of(made: object, settings: OperatorSettings) -> TeamList:
    return TeamList(cast(Api, made), settings)


class Made:
    """An executor, its store and an API server, in one: aggregations end at once."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.store = self
        self.count = 0
        self.requests: list[AggregateRequest] = []

    def write_counted(self, *_: object) -> None:
        pass

    def counted(self, *_: object) -> None:
        return None

    def score_result(self, *_: object) -> None:
        return None

    def write_board_request(self, request: AggregateRequest) -> str:
        self.requests.append(request)
        return "f" * 64

    def board_request(self, *_where: object) -> None:
        return None

    async def patch(
        self, _resource: Resource, namespace: str, name: str, body: Object, *_subresource: str
    ) -> Object:
        return {
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": str(self.count + 1)},
            "spec": {"competition": "cup", "phase": name, **body["spec"]},
        }

    async def create_job(self, job: Object) -> None:
        self.count += 1
        meta = {**job["metadata"], "uid": f"u{self.count}", "creationTimestamp": START.isoformat()}
        done = {"conditions": [{"type": "Complete", "status": "True"}]}
        view = parse_objects.job_view({**job, "metadata": meta, "status": done})
        self.index.jobs[view.name, ""] = JobRecord(view, meta["labels"], None)

    async def delete(self, _resource: Resource, _namespace: str, name: str) -> None:
        del self.index.jobs[name, ""]


class Refusing:
    """An API server that has a Job of every name, made for the one that is given."""

    def __init__(self, there: Object) -> None:
        self.there = there

    async def create(self, *_: object) -> Object:
        raise ApiError("already exists", status=409)

    async def get(self, *_: object) -> Object:
        return self.there


def view(reason: str) -> SubmissionView:
    spec = {"competition": {"namespace": "comp", "name": "cup"}, "phase": "final",
            "code": {"bundle": {"sha256": "c" * 64}}}  # fmt: skip
    run = RunStatus(dataset="digits", alc=0.5 if reason == scoring.SHOWN else None)
    status = SubmissionStatus(phase="Done", scoring_digest="0" * 16, runs=(run,))
    shown = statuses.set_condition(status, statuses.SCORED, ("True", reason, ""), START)
    parsed = SubmissionSpec.model_validate(spec)
    return SubmissionView("red-uid", "red", "first", 1, "1", START, False, (), parsed, shown)


async def look_at(
    rankings: Rankings, competition: CompetitionView, views: list[SubmissionView], now: datetime
) -> None:
    """Where these Submissions are all that there are."""
    rankings.index.submissions.clear()
    rankings.index.submissions.update({(view.namespace, view.name): view for view in views})
    await rankings.work(competition, now)


def test_a_score_that_had_to_be_made_anew_at_the_reveal_comes_onto_the_board() -> None:
    """The board may have been made while it was gone from the store."""
    index = Index(leaderboards={("comp", "final"): BoardRecord("cup", LeaderboardStatus(), PublishedRules())})
    made = Made(index)
    rankings = Rankings(
        cast(Api, made), index, cast(Executor, made), SETTINGS, Metrics(), teams_of(made, SETTINGS)
    )

    def look(reason: str, seconds: float) -> int:
        now = REVEAL + timedelta(seconds=seconds)
        asyncio.run(look_at(rankings, COMPETITION, [view(reason)], now))
        return made.count

    assert look(scoring.HELD_BACK, -1) == 0
    assert look(scoring.HELD_BACK, 1) == look(scoring.HELD_BACK, 2) == 1
    assert look(scoring.SHOWN, 3) == look(scoring.SHOWN, 4) == 2


def test_scores_that_are_held_back_are_read_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart there may be thousands, and everything waits for the look at them."""
    index = Index()
    made, together = Made(index), threading.Barrier(4)
    rankings = Rankings(
        cast(Api, made), index, cast(Executor, made), SETTINGS, Metrics(), teams_of(made, SETTINGS)
    )

    def read(*_: object) -> None:
        together.wait(timeout=30)

    monkeypatch.setattr(made, "score_result", read)
    held = view(scoring.HELD_BACK)
    views = [
        replace(held, uid=str(n), name=str(n), created_at=START + timedelta(minutes=n)) for n in range(4)
    ]
    asyncio.run(look_at(rankings, COMPETITION, views, REVEAL - timedelta(seconds=1)))
    assert not together.broken


def test_what_is_deleted_during_a_look_still_counts_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands though it is gone was read before: the one before it would come onto the board."""
    index = Index(leaderboards={("comp", "final"): BoardRecord("cup", LeaderboardStatus(), PublishedRules())})
    made, shown = Made(index), view(scoring.SHOWN)
    rankings = Rankings(
        cast(Api, made), index, cast(Executor, made), SETTINGS, Metrics(), teams_of(made, SETTINGS)
    )
    last = replace(shown, uid="last", name="last", created_at=START + timedelta(minutes=1))

    async def delete_last(*_: object) -> None:
        index.submissions.pop(("red", "last"))

    monkeypatch.setattr(rankings.ranks, "write", delete_last)
    asyncio.run(look_at(rankings, COMPETITION, [shown, last], REVEAL + timedelta(seconds=1)))
    assert ("red", "last") not in index.submissions
    (request,) = made.requests
    assert [entry.submission_uid for entry in request.entries] == ["last"]


def test_of_two_phases_of_one_name_the_first_keeps_the_board() -> None:
    """They would share one Leaderboard, which has the name of its phase."""
    index = Index(leaderboards={("comp", "final"): BoardRecord("cup", LeaderboardStatus(), PublishedRules())})
    made = Made(index)
    rankings = Rankings(
        cast(Api, made), index, cast(Executor, made), SETTINGS, Metrics(), teams_of(made, SETTINGS)
    )
    other = replace(COMPETITION, name="bowl")
    status, reason, message = ready_condition(other, index)
    assert (status, reason) == ("False", "PhaseNameTaken")
    assert "Competition cup" in message
    assert "Give the phase another name" in message
    asyncio.run(look_at(rankings, other, [view(scoring.SHOWN)], REVEAL + timedelta(seconds=1)))
    assert made.count == 0
    assert ready_condition(COMPETITION, index)[1] == "DatasetMissing"


def test_a_job_of_another_competition_is_not_taken_for_ones_own() -> None:
    """Jobs that rank have no Submission, so their labels tell two competitions apart."""
    labels = {"alcove.dev/role": "aggregate", "alcove.dev/competition": "cup", "alcove.dev/phase": "final"}
    of_cup: Object = {
        "metadata": {"name": "a-final-1", "namespace": "comp", "resourceVersion": "1", "labels": labels},
        "spec": {"template": {"spec": {}}},
    }
    of_bowl: Object = {
        **of_cup,
        "metadata": {**of_cup["metadata"], "labels": labels | {"alcove.dev/competition": "bowl"}},
    }
    executor = Executor(
        cast(Api, Refusing(of_cup)),
        Index(),
        SETTINGS,
        cast(OperatorStore, None),
        cast(JobCredentials, None),
        lambda _: None,
    )
    assert asyncio.run(executor.create_job(of_cup)) == of_cup
    with pytest.raises(ApiError, match="made for something else"):
        asyncio.run(executor.create_job(of_bowl))


def test_a_board_waits_where_nobody_knows_what_the_last_one_was_made_of() -> None:
    """Of a team whose namespace has not been listed, the last request alone says which score it had."""
    index = Index()
    metadata = {"name": "final", "namespace": "comp", "resourceVersion": "1"}
    spec, status = {"competition": "cup", "phase": "final"}, {"generation": 3}
    index.apply(LEADERBOARDS, {"metadata": metadata, "spec": spec, "status": status})
    settings = SETTINGS.model_copy(update={"namespaces": ("comp", "blue")})
    made = Made(index)
    rankings = Rankings(
        cast(Api, made), index, cast(Executor, made), settings, Metrics(), teams_of(made, settings)
    )
    now = REVEAL + timedelta(seconds=1)
    asyncio.run(look_at(rankings, COMPETITION, [view(scoring.SHOWN)], now))
    assert made.count == 0
    index.replace(SUBMISSIONS, "blue", index.known(SUBMISSIONS, "blue"), [])
    asyncio.run(look_at(rankings, COMPETITION, [view(scoring.SHOWN)], now))
    assert made.count == 1


def test_two_equal_teams_are_told_of_the_rank_that_they_share() -> None:
    told: dict[str, Object] = {}

    class Telling(Made):
        async def patch(
            self, resource: Resource, namespace: str, name: str, body: Object, *_subresource: str
        ) -> Object:
            if resource == LEADERBOARDS:
                return await super().patch(resource, namespace, name, body)
            told[name] = body["status"]
            return {
                "metadata": {"name": name, "namespace": "red", "resourceVersion": "2"},
                "status": body["status"],
            }

    entries = tuple(
        Entry(rank=rank, team=team, submission="first", submission_uid=f"{team}-uid", average_rank=1.5)
        for team, rank in (("red", 1), ("blue", 1), ("green", 3))
    )
    board = LeaderboardStatus(generation=1, teams=3, entries=entries)
    index = Index(leaderboards={("comp", "final"): BoardRecord("cup", board, PublishedRules())})
    made = Telling(index)
    rankings = Rankings(
        cast(Api, made), index, cast(Executor, made), SETTINGS, Metrics(), teams_of(made, SETTINGS)
    )
    one = view(scoring.SHOWN)
    rivals = [replace(one, uid=f"{team}-uid", namespace=team, name=team) for team in ("blue", "green")]
    asyncio.run(look_at(rankings, COMPETITION, [one, *rivals], REVEAL + timedelta(seconds=1)))
    assert {name: (status["rank"], status["place"]) for name, status in told.items()} == {
        "first": (1, "1=/3"), "blue": (1, "1=/3"), "green": (3, "3/3"),
    }  # fmt: skip


@pytest.mark.parametrize("ends", ["it is made", "the phase is made blind"])
def test_a_board_that_is_not_made_says_why_in_the_competitions_status(ends: str) -> None:
    async def play() -> None:
        hackathon = Hackathon()
        hackathon.ranking_fails = "Job has reached the specified backoff limit"

        def message() -> str:
            status = hackathon.server.objects["competitions", HACK, CUP].get("status") or {}
            return next((str(p.get("message", "")) for p in status.get("phases", ())), "")

        async def test(service: Service) -> None:
            def stale() -> float | None:
                name = "alcove_board_stale_since_timestamp_seconds"
                labels = {"competition": CUP, "phase": "practice"}
                return service.metrics.registry.get_sample_value(name, labels)

            hackathon.submit("red", "first")
            said = "The board is not made, and tried again. Job a-practice-1: Job has reached"
            await wait_until("the reason in the status", lambda: message().startswith(said), 600)
            assert stale() is not None
            if ends == "it is made":
                hackathon.ranking_fails = ""
                await wait_until("the board", lambda: hackathon.board() == ["red/first"], 600)
            else:
                phase = hackathon.server.objects["competitions", HACK, CUP]["spec"]["phases"][0]
                blind = {**phase, "feedback": {"mode": "none"}}
                hackathon.change_spec("competitions", HACK, CUP, phases=[blind])
            await wait_until("nothing said any more", lambda: message() == "" and stale() is None, 600)

        await hackathon.operate(test)

    run(play())


def aggregate_jobs(hackathon: Hackathon) -> list[str]:
    """Names of all Jobs that rank that were ever created, in order."""
    return [name for plural, _, name in hackathon.server.created if plural == "jobs" and name[:2] == "a-"]


def test_a_job_waits_for_what_it_is_to_rank_when_the_run_may_end_at_any_moment() -> None:
    async def play() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(_service: Service) -> None:
            hackathon.submit("red", "first")
            await hackathon.running("red", "first")
            began = hackathon.loop.time()
            await wait_until("the Job", lambda: aggregate_jobs(hackathon), 60)
            # Of a budget of 30 s, so long before its end.
            assert hackathon.loop.time() - began == pytest.approx(15, abs=3)
            assert hackathon.store.board_requests == {}
            hackathon.holding = False
            await wait_until("the board", lambda: hackathon.board() == ["red/first"], 600)
            assert aggregate_jobs(hackathon) == ["a-practice-1"]

        await hackathon.operate(test)

    run(play())


def test_a_job_that_waits_goes_where_nothing_comes_to_be_ranked() -> None:
    async def play() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def test(_service: Service) -> None:
            hackathon.submit("red", "first")
            await wait_until("the Job", lambda: aggregate_jobs(hackathon), 120)
            # Its pod does not end, long after its budget.
            there = ("jobs", HACK, "a-practice-1")
            await wait_until("its deletion", lambda: there not in hackathon.server.objects, 120)
            hackathon.holding = False
            await wait_until("the board", lambda: hackathon.board() == ["red/first"], 600)

        await hackathon.operate(test)

    run(play())


def test_a_job_that_waits_is_asked_by_the_operator_that_finds_it() -> None:
    async def play() -> None:
        hackathon = Hackathon()
        hackathon.holding = True

        async def start(_service: Service) -> None:
            hackathon.submit("red", "first")
            await wait_until("the Job", lambda: aggregate_jobs(hackathon), 120)

        async def test(_service: Service) -> None:
            hackathon.holding = False
            await wait_until("the board", lambda: hackathon.board() == ["red/first"], 600)
            assert aggregate_jobs(hackathon) == ["a-practice-1"]

        await hackathon.operate(start)
        await hackathon.operate(test)

    run(play())


def test_one_that_fails_before_it_is_asked_is_not_followed_by_another() -> None:
    """Whatever it was, it would be the same again; the next board is asked of a Job of its own."""

    async def play() -> None:
        hackathon = Hackathon()

        async def test(_service: Service) -> None:
            hackathon.submit("red", "first")
            await hackathon.ended("red", "first")
            await wait_until("the board", lambda: hackathon.board() == ["red/first"], 600)
            made = len(aggregate_jobs(hackathon))
            hackathon.holding = True
            hackathon.submit("blue", "second")
            await wait_until("the next Job", lambda: len(aggregate_jobs(hackathon)) > made, 120)
            ahead = hackathon.server.objects["jobs", HACK, aggregate_jobs(hackathon)[-1]]
            hackathon._end(ahead, "Failed")
            # As long as a score is foreseen.
            await asyncio.sleep(40)
            assert len(aggregate_jobs(hackathon)) == made + 1
            hackathon.holding = False
            await wait_until("both", lambda: len(hackathon.board()) == 2, 600)

        await hackathon.operate(test)

    run(play())
