"""A phase that takes its submissions from another runs each team once more, and shows it nothing before the reveal."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alcove_kube.client import Object
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names
from alcove_operator.service import Service
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_wiring.hackathon import CUP, HACK, START, EventFate, Hackathon
from tests.unit.operator_wiring.memory_server import MemoryServer
from tests.unit.operator_wiring.test_schedules import (
    EVENT_SCHEDULES,
    EVENTS,
    FATES,
    FINE,
    SCHEDULES,
    one_by_one,
    operate,
)
from tests.unit.operator_wiring.virtual_time import run, wait_until

OPENS, REVEALS = 300, 1500
"""Seconds from the start. The final of two teams is over long before its reveal."""


UID_NUMBER = re.compile(r'\b[a-z]\d{7}-|(?<="scoreSha256": ")[0-9a-f]+')
"""In a UID of this API server, which counts writes, and what is computed from one; those of a real one are random."""


def moment(seconds: float) -> str:
    return stamp(START + timedelta(seconds=seconds))


def competition(**final: Any) -> Hackathon:
    """Practice on one dataset, the final on two others."""
    budget = {"seconds": 30}
    phases = [
        {"name": "practice", "datasets": ["ds-d"], "budget": budget},
        {"name": "final", "datasets": ["ds-e", "ds-f"], "budget": budget, "from": {"phase": "practice"},
         "opensAt": moment(OPENS), "revealsAt": moment(REVEALS), **final},
    ]  # fmt: skip
    return Hackathon("def", phases=phases)


def reruns(hackathon: Hackathon) -> dict[str, Object]:
    """By name, the Submissions in the competition's namespace that run something again."""
    return {
        name: raw
        for (plural, namespace, name), raw in hackathon.server.objects.items()
        if plural == "submissions" and namespace == HACK and raw["spec"].get("rerunOf")
    }


async def at(hackathon: Hackathon, seconds: float) -> None:
    await asyncio.sleep(max(0.0, seconds - hackathon.loop.time()))


def test_what_counts_is_run_again_on_other_datasets_and_shown_at_the_reveal() -> None:
    hackathon_of: list[Hackathon] = []

    async def scenario() -> None:
        hackathon = competition(logs="full")
        hackathon_of.append(hackathon)
        objects = hackathon.server.objects

        async def whole(_: Service) -> None:
            for team, name in (("red", "one"), ("red", "two"), ("blue", "three")):
                hackathon.submit(team, name)
                await hackathon.ended(team, name, 300)
            await at(hackathon, OPENS - 5)
            assert reruns(hackathon) == {}
            await wait_until("the reruns", lambda: len(reruns(hackathon)) == 2, 60)
            for name in ("final.red", "final.blue"):
                await hackathon.ended(HACK, name, 600)
            found = reruns(hackathon)
            assert found["final.red"]["spec"]["rerunOf"]["submission"] == "two"
            assert found["final.red"]["spec"]["code"]["bundle"] == {"sha256": "c" * 64}
            status = hackathon.status(HACK, "final.red")
            assert [(r["dataset"], r["alc"], r["cause"]) for r in status["runs"]] == [
                ("e", 0.5, "DeadlineReached"), ("f", 0.5, "DeadlineReached")]  # fmt: skip
            assert hackathon.usage("red")["total"] == 2
            assert ("submissions", "red", "final.red") not in objects
            assert not objects["leaderboards", HACK, "final"].get("status")
            await at(hackathon, REVEALS)
            await wait_until("the results", lambda: hackathon.status_or_none("red", "final.red"), 120)
            await wait_until("the ranks", lambda: hackathon.status("red", "final.red").get("counted"), 120)
            shown = hackathon.status("red", "final.red")
            assert shown["runs"] == status["runs"]
            assert shown["place"] == "2/2"
            assert (
                "red",
                objects["submissions", "red", "final.red"]["metadata"]["uid"],
            ) in hackathon.store.reports
            mine, rerun = (objects["submissions", n, "final.red"]["metadata"]["uid"] for n in ("red", HACK))
            copied = [entry for entry in hackathon.store.logs if entry[1] == mine]
            pods = {run["dataset"]: run["podUid"] for run in status["runs"]}
            assert copied == [("red", mine, run, f"runs/{rerun}/{run}/1-{pods[run]}") for run in ("e", "f")]
            (last,) = [r for r in hackathon.store.board_requests.values() if r.phase == "final"][-1:]
            assert [(e.team, e.submission) for e in last.entries] == [
                ("blue", "final.blue"),
                ("red", "final.red"),
            ]
            # What shows a result is neither run nor counted.
            jobs = [name for name in hackathon.run_jobs() if "-e-" in name or "-f-" in name]
            assert len(jobs) == 4

        await hackathon.operate(whole)

    run(scenario())


def watch(hackathon: Hackathon, team: str) -> Callable[[], list[Any]]:
    """All that the team can see from now on, and when: every version of what it may read, but for its number."""
    seen: list[Any] = []

    def note(plural: str, raw: Object, gone: bool) -> None:
        metadata = raw["metadata"]
        mine = metadata["namespace"] == team
        if mine or plural == "leaderboards":
            shown = json.loads(UID_NUMBER.sub("", json.dumps(raw)))
            # It counts the writes of the whole cluster: docs/limitations.md.
            del shown["metadata"]["resourceVersion"]
            if "requested" in shown.get("spec", {}):
                # A digest of UIDs, among others.
                del shown["spec"]["requested"]["inputs"]
            if plural == "events":
                shown["eventTime"] = shown["eventTime"][:19]
                # Behind the dot is a digest of the UID.
                shown["metadata"] |= dict.fromkeys(("name", "uid"), metadata["name"].partition(".")[0])
            seen.append((round(hackathon.loop.time(), 3), plural, shown, gone))

    hackathon.server.listeners.append(note)
    return lambda: seen


def view_of_red(**outcome: Any) -> list[Any]:
    """What red sees from the opening to the reveal while it goes on practising, where the final ends as ``outcome``."""

    async def scenario() -> list[Any]:
        hackathon = competition(
            repeats=outcome.pop("repeats", 1), datasets=outcome.pop("datasets", ["ds-e", "ds-f"])
        )
        found: list[Any] = []

        async def whole(_: Service) -> None:
            for team in hackathon.teams:
                hackathon.submit(team, "one")
                await hackathon.ended(team, "one", 300)
            await at(hackathon, OPENS - 1)
            seen = watch(hackathon, "red")
            hackathon.final_outcome = outcome
            await at(hackathon, OPENS + 3)
            hackathon.submit("red", "late")
            hackathon.submit("red", "later")
            await at(hackathon, REVEALS - 1)
            assert len(reruns(hackathon)) == 2
            assert all(raw["status"]["phase"] in ("Done", "Failed") for raw in reruns(hackathon).values())
            found.extend(seen())

        await hackathon.operate(whole)
        return found

    return run(scenario())


@cache
def view_of_usual_outcome() -> list[Any]:
    return view_of_red()


@pytest.mark.parametrize(
    "outcome",
    [
        {"alc": 0.9},
        {"alc": None},
        {"fate": "exit"},
        {"fate": "oom"},
        {"fate": "node-lost"},
        {"repeats": 3},
        {"datasets": ["ds-f"]},
    ],
    ids=str,
)
def test_nothing_that_a_team_can_see_before_the_reveal_depends_on_the_outcome(
    outcome: dict[str, Any],
) -> None:
    assert len(view_of_usual_outcome()) > 10
    assert view_of_red(**outcome) == view_of_usual_outcome()


@settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    requests=SCHEDULES,
    events=EVENT_SCHEDULES,
    crashes=st.lists(st.floats(1.0, OPENS + 200.0), min_size=1, max_size=3),
)
def test_each_team_is_run_once_more_whatever_the_network_does(
    requests: list[int], events: list[int], crashes: list[float]
) -> None:
    async def scenario() -> None:
        hackathon = competition()
        tape, event_tape = one_by_one([0] * 40 + requests), one_by_one(events)

        def request_fate(verb: str, _resource: Any) -> Any:
            fate = FATES[next(tape)]
            return FINE if fate.refused == 409 and verb != "PATCH" else fate

        hackathon.api.fate = request_fate
        hackathon.event_fate = lambda _plural: EVENTS[next(event_tape)]
        for team in hackathon.teams:
            hackathon.submit(team, "one")

        async def until_killed(seconds: float, _: Service) -> None:
            await at(hackathon, seconds)

        async def to_the_end(_: Service) -> None:
            await at(hackathon, OPENS)
            await wait_until("the reruns", lambda: len(reruns(hackathon)) == 2, 3600)
            for name in reruns(hackathon):
                assert (await hackathon.ended(HACK, name, 7200))["phase"] == "Done"
            await at(hackathon, REVEALS)
            for team in hackathon.teams:
                found = partial(hackathon.status_or_none, team, f"final.{team}")
                await wait_until("the result", found, 3600)

        for seconds in sorted(crashes):
            await operate(hackathon, partial(until_killed, seconds))
        await operate(hackathon, to_the_end)
        made = Counter(
            name
            for plural, space, name in hackathon.server.created
            if (plural, space) == ("submissions", HACK)
        )
        assert made == {"final.red": 1, "final.blue": 1}
        uids = [raw["metadata"]["uid"] for raw in reruns(hackathon).values()]
        assert Counter(n for n in hackathon.run_jobs() if "-d-" not in n) == {
            names.run_job(uid, alias, 1): 1 for uid in uids for alias in "ef"
        }

    run(scenario())


def test_a_team_cannot_submit_to_it_nor_make_what_shows_a_result() -> None:
    async def scenario() -> None:
        hackathon = competition()

        async def whole(_: Service) -> None:
            hackathon.submit("red", "own", phase="final")
            rejected = await hackathon.ended("red", "own", 120)
            assert rejected["cause"] == "PhaseTakesNone"
            original = {"team": "red", "submission": "own", "uid": "1"}
            raw = hackathon.submit("red", "forged", phase="final")
            hackathon.server.put("submissions", "red", {**raw, "spec": {**raw["spec"], "rerunOf": original}})
            forged = await hackathon.ended("red", "forged", 120)
            assert (forged["phase"], forged["cause"]) == ("Rejected", "RerunNotAllowed")
            assert hackathon.run_jobs() == []

        await hackathon.operate(whole)

    run(scenario())


def test_who_is_still_running_at_the_opening_is_waited_for_and_later_submissions_are_not() -> None:
    async def scenario() -> None:
        hackathon = competition()

        async def whole(_: Service) -> None:
            await at(hackathon, OPENS - 2)
            hackathon.holding = True
            hackathon.submit("red", "last")
            await at(hackathon, OPENS + 5)
            hackathon.submit("red", "late")
            status = hackathon.server.objects["competitions", HACK, CUP]["status"]["phases"][1]
            assert status["message"].endswith(": red.")
            assert reruns(hackathon) == {}
            hackathon.holding = False
            await wait_until("the rerun", lambda: reruns(hackathon), 300)
            assert reruns(hackathon)["final.red"]["spec"]["rerunOf"]["submission"] == "last"

        await hackathon.operate(whole)

    run(scenario())


def test_what_was_submitted_before_the_opening_counts_though_its_event_is_late() -> None:
    """A watch may be silent for 100 s, and the name of a rerun is taken once and for all."""

    async def scenario() -> None:
        # Everything is listed every 300 s: this is between two times.
        opens = 450
        hackathon = competition(opensAt=moment(opens))

        async def whole(_: Service) -> None:
            for team in hackathon.teams:
                hackathon.submit(team, "early")
                await hackathon.ended(team, "early", 250)
            await at(hackathon, opens - 5)
            hackathon.event_fate = lambda plural: EventFate(after=100.0 * (plural == "submissions"))
            hackathon.submit("red", "last")
            # Where a team cannot be listed at the opening, it waits, and the others do not.
            hackathon.server.unlisted.add(("submissions", "red"))
            await wait_until("blue's rerun", lambda: "final.blue" in reruns(hackathon), 60)
            assert "final.red" not in reruns(hackathon)
            hackathon.server.unlisted.clear()
            await wait_until("red's rerun", lambda: "final.red" in reruns(hackathon), 90)
            assert reruns(hackathon)["final.red"]["spec"]["rerunOf"]["submission"] == "last"

        await hackathon.operate(whole)

    run(scenario())


@pytest.mark.parametrize(
    ("down", "marked", "dated", "counts"),
    [
        (True, -60, -60, "one"),
        (True, 20, 20, "two"),
        (False, -60, -60, "one"),
        (False, 20, 20, "two"),
        (False, 20, -60, "two"),
    ],
)
def test_a_mark_counts_if_it_was_set_before_the_opening(
    down: bool, marked: int, dated: int, counts: str
) -> None:
    """Though the operator was ``down`` then, or the event is late. Seconds after the opening: when it is set, and when
    its managed fields say that it was, which a team can write."""

    async def scenario() -> None:
        opens = 450
        hackathon = competition(opensAt=moment(opens))
        (practice, final) = hackathon.server.objects["competitions", HACK, CUP]["spec"]["phases"]
        phases = [{**practice, "counts": "chosen"}, final]
        hackathon.change_spec("competitions", HACK, CUP, phases=phases)

        def mark() -> None:
            raw = hackathon.server.objects["submissions", "red", "one"]
            fields: Object = {"f:metadata": {"f:labels": {".": {}, "f:alcove.dev/chosen": {}}}}
            entry = {"manager": "kubectl-label", "time": moment(opens + dated), "fieldsV1": fields}
            labels = {"alcove.dev/chosen": "true"}
            metadata = {**raw["metadata"], "labels": labels, "managedFields": [entry]}
            hackathon.server.put("submissions", "red", {**raw, "metadata": metadata})

        async def before(_: Service) -> None:
            hackathon.submit("red", "one")
            await hackathon.ended("red", "one", 200)
            hackathon.submit("red", "two")
            await hackathon.ended("red", "two", 200)
            await at(hackathon, opens - 70)
            if not down:
                await after(_)

        async def after(_: Service) -> None:
            if not down:
                # One that is under way at the opening, so that the rerun waits while the mark comes.
                hackathon.holding = True
                hackathon.submit("red", "three")
                await at(hackathon, opens + min(marked, -30))
                if marked < 0:
                    hackathon.event_fate = lambda plural: EventFate(after=200.0 * (plural == "submissions"))
                await at(hackathon, opens + marked)
                mark()
                await at(hackathon, opens + 60)
                hackathon.scoreless = {"three"}
                hackathon.holding = False
            await wait_until("the rerun", lambda: "final.red" in reruns(hackathon), 600)
            assert reruns(hackathon)["final.red"]["spec"]["rerunOf"]["submission"] == counts

        await hackathon.operate(before)
        if down:
            await at(hackathon, opens + marked)
            mark()
            await at(hackathon, opens + 40)
            await hackathon.operate(after)

    run(scenario())


@pytest.mark.parametrize("obstacle", ["submissions", "submissions/status", "namesake"])
def test_a_team_that_cannot_be_shown_its_result_keeps_no_other_waiting_and_is_named(obstacle: str) -> None:
    """Its namespace is full or its Role is another, or a Submission of its own has the name."""

    async def scenario() -> None:
        hackathon = competition()
        server = hackathon.server

        def message() -> str:
            return str(server.objects["competitions", HACK, CUP]["status"]["phases"][1].get("message", ""))

        async def whole(_: Service) -> None:
            name = "final.blue" if obstacle == "namesake" else "one"
            hackathon.submit("blue", name)
            hackathon.submit("red", "one")
            await at(hackathon, REVEALS - 5)
            assert message() == ""
            if obstacle != "namesake":
                server.forbidden.add((obstacle, "blue"))
            await wait_until("red's", lambda: hackathon.status_or_none("red", "final.red"), 120)
            await wait_until("blue is named", lambda: "blue" in message(), 120)
            assert "red" not in message()
            server.forbidden.clear()
            if obstacle == "namesake":
                server._delete(spot := ("submissions", "blue", name), server.objects[spot], {})
            await wait_until("blue's", lambda: shows_result(server), 600)
            await wait_until("nobody is named", lambda: message() == "", 120)

        await hackathon.operate(whole)

    run(scenario())


def shows_result(server: MemoryServer) -> bool:
    raw = server.objects.get(("submissions", "blue", "final.blue"), {})
    return bool(raw and raw["spec"].get("rerunOf") and (raw.get("status") or {}).get("runs"))


def test_a_team_that_is_taken_out_leaves_the_board_of_the_final_too() -> None:
    """Its rerun is in the competition's namespace, which stays."""

    async def scenario() -> list[str]:
        hackathon = competition(revealsAt=moment(OPENS + 10))

        def ranked() -> list[str]:
            requests = [r for r in hackathon.store.board_requests.values() if r.phase == "final"]
            return [entry.team for entry in requests[-1].entries] if requests else []

        async def to_the_board(_: Service) -> None:
            for team in hackathon.teams:
                hackathon.submit(team, "one")
            await at(hackathon, OPENS)
            await wait_until("both on the board", lambda: ranked() == ["blue", "red"], 900)

        async def without_red(_: Service) -> None:
            await wait_until("blue alone", lambda: ranked() == ["blue"], 900)

        await hackathon.operate(to_the_board)
        left = {**dict(hackathon.settings), "namespaces": ("blue",)}
        hackathon.settings = OperatorSettings.model_validate(left)
        await hackathon.operate(without_red)
        return ranked()

    assert run(scenario()) == ["blue"]


def test_the_organizer_stops_the_final_of_one_team_or_baseline_and_leaves_a_rerun_out() -> None:
    """A rerun is named by its team, though before the reveal nothing of that name is in the team's namespace."""

    async def scenario() -> None:
        hackathon = competition(revealsAt=moment(OPENS + 200))
        cup = ("competitions", HACK, CUP)

        def decided() -> str:
            conditions = hackathon.server.objects[cup]["status"]["conditions"]
            return str(next(c["reason"] for c in conditions if c["type"] == "DecisionsApply"))

        async def whole(_: Service) -> None:
            for team, name in (("red", "one"), ("blue", "one"), (HACK, "linear")):
                hackathon.submit(team, name)
                await hackathon.ended(team, name, 300)
            hackathon.holding = True
            await at(hackathon, OPENS)
            ours = ["final.red", f"final.{HACK}.linear"]
            await wait_until(
                "the runs",
                lambda: all((hackathon.status_or_none(HACK, n) or {}).get("runs") for n in ours),
                120,
            )
            stopped = [
                {"team": team, "submission": name, "reason": "It hangs"}
                for team, name in zip(("red", HACK), ours, strict=True)
            ]
            left_out = {"team": "blue", "submission": "final.blue", "reason": "Leaked"}
            hackathon.change_spec(*cup, cancelled=stopped, excluded=[left_out])
            for name in ours:
                ended = await hackathon.ended(HACK, name, 120)
                assert {run["cause"] for run in ended["runs"]} == {"Cancelled"}
            hackathon.holding = False
            await hackathon.ended(HACK, "final.blue", 300)
            assert decided() == "Applied"
            shown = partial(hackathon.status_or_none, "blue", "final.blue")
            await wait_until("why", lambda: (shown() or {}).get("excluded") == "Leaked", 600)
            hackathon.change_spec(*cup, cancelled=[{**stopped[0], "submission": "final.blue"}], excluded=[])
            await wait_until("that red has no final.blue", lambda: decided() == "UnknownSubmission", 60)

        await hackathon.operate(whole)

    run(scenario())


def test_a_deleted_rerun_is_made_again_until_the_competition_is_deleted() -> None:
    """So whoever removes everything begins with the competition."""

    async def scenario() -> None:
        hackathon = competition(revealsAt=moment(OPENS + 10))
        server, spot = hackathon.server, ("submissions", HACK, "final.red")

        def list_submissions() -> list[tuple[str, str, str]]:
            return [found for found in server.objects if found[0] == "submissions"]

        async def whole(_: Service) -> None:
            hackathon.submit("red", "one")
            await at(hackathon, OPENS)
            await wait_until("its result", lambda: hackathon.status_or_none("red", "final.red"), 900)
            first = server.objects[spot]
            server._delete(spot, first, {})
            await wait_until(
                "another", lambda: server.objects.get(spot, first)["metadata"]["uid"] != _uid(first), 60
            )
            server.remove(("competitions", HACK, CUP))
            for found in list_submissions():
                server._delete(found, server.objects[found], {})
            await wait_until("that all are gone", lambda: not list_submissions(), 600)
            await asyncio.sleep(120)
            assert not list_submissions()

        await hackathon.operate(whole)

    run(scenario())


def _uid(raw: Object) -> str:
    return str(raw["metadata"]["uid"])
