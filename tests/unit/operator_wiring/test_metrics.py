"""Series are there for what exists, and go with it; a blind phase moves none that names it."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import generate_latest

from alcove_api.documents import CheckResult
from alcove_api.score_documents import NO_PREDICTIONS
from alcove_board.metrics import ServerMetrics
from alcove_kube.client import Object
from alcove_kube.resources import COMPETITIONS, JOBS, LEADERBOARDS, PODS, SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.board_series import TEAMS, Series, build_series
from alcove_operator.config import OperatorSettings
from alcove_operator.core import causes
from alcove_operator.core.causes import CAUSES_BY_PAYER
from alcove_operator.index import Index, WorkKey
from alcove_operator.job_credentials import JobCredentials
from alcove_operator.jobs_health import JobsHealth
from alcove_operator.metrics import Metrics
from alcove_operator.preparation import PROBLEM_KINDS
from alcove_operator.service import Service
from alcove_operator.store_disks import DiskSpace
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_wiring.hackathon import CUP, HACK, START, Hackathon
from tests.unit.operator_wiring.virtual_time import run, wait_until

PHASE = {"name": "practice", "datasets": ["ds-d"], "budget": {"seconds": 30}}


def series(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Values by the labels' values, in the order in which they are declared."""
    found: dict[tuple[str, ...], float] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == name:
                found[tuple(sample.labels.values())] = sample.value
    return found


def about(metrics: Metrics, word: str) -> list[str]:
    """All lines of the exposition that have the word."""
    return [line for line in generate_latest(metrics.registry).decode().splitlines() if word in line]


def operate(scenario: Callable[[Hackathon, Service], Coroutine[Any, Any, None]], **more: Any) -> None:
    async def play() -> None:
        hackathon = Hackathon(**more)
        await hackathon.operate(lambda service: scenario(hackathon, service))

    run(play())


def test_a_competition_leaves_the_figures_of_what_has_happened() -> None:
    async def scenario(hackathon: Hackathon, service: Service) -> None:
        hackathon.submit("red", "one")
        hackathon.submit("blue", "two")
        for team, name in (("red", "one"), ("blue", "two")):
            await hackathon.ended(team, name, 300)
        metrics = service.metrics
        await wait_until("blue is ranked", lambda: len(series(metrics, "alcove_rank")) == 2, 60)
        await wait_until(
            "the board is current",
            lambda: not series(metrics, "alcove_board_stale_since_timestamp_seconds"),
            60,
        )
        where = (CUP, "practice")
        assert series(metrics, "alcove_rank") == {
            (*where, line.split("/")[0]): place for place, line in enumerate(hackathon.board(), 1)
        }
        assert series(metrics, "alcove_submissions") == {(*where, "red"): 1, (*where, "blue"): 1}
        runs = series(metrics, "alcove_runs_total")
        assert runs.pop((*where, "DeadlineReached", "Participant")) == 2
        assert set(runs.values()) == {0}
        ended = {(*where, team, "DeadlineReached", "Participant"): 1.0 for team in ("red", "blue")}
        assert series(metrics, "alcove_team_runs_ended") == ended
        for histogram in ("queue_wait", "pull", "stage", "start", "overshoot", "stamp_lag", "score"):
            assert series(metrics, f"alcove_{histogram}_seconds_count") == {where: 2}, histogram
        assert series(metrics, "alcove_aggregate_seconds_count")[where] >= 1
        assert series(metrics, "alcove_snapshots_total") == {(*where, "taken"): 6, (*where, "refused"): 0}
        used = series(metrics, "alcove_quota_used_submissions")
        assert used == {(CUP, t, w): 1 for t in ("red", "blue") for w in ("day", "total")}
        learned = series(metrics, "alcove_team_time_seconds")[*where, "red", "learn"]
        one = hackathon.run_status("red", "one")
        assert learned == pytest.approx(_seconds(one["startedAt"], one["endedAt"]))

    operate(scenario)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def test_a_blind_phase_moves_nothing_until_its_reveal() -> None:
    blind = {**PHASE, "name": "final", "feedback": {"mode": "none"}}
    reveal = START + timedelta(seconds=600)

    async def scenario(hackathon: Hackathon, service: Service) -> None:
        await wait_until("the phase is shown", lambda: about(service.metrics, '"final"'), 30)
        before = about(service.metrics, CUP)
        raw = hackathon.submit("red", "one")
        hackathon.change_spec("submissions", "red", "one", **{**raw["spec"], "phase": "final"})
        seen = set()
        while hackathon.phase("red", "one") not in ("Done", "Failed", "Rejected"):
            assert about(service.metrics, CUP) == before
            assert about(service.metrics, '"red"') == []
            seen.add(hackathon.phase("red", "one"))
            await asyncio.sleep(1)
        assert "Running" in seen
        assert about(service.metrics, CUP) == before
        await wait_until("the reveal", lambda: series(service.metrics, "alcove_rank"), 900)
        assert hackathon.now >= reveal
        assert series(service.metrics, "alcove_submissions") == {(CUP, "final", "red"): 1}

    operate(scenario, phases=[{**blind, "revealsAt": stamp(reveal)}])


def test_a_blind_final_moves_nothing_until_its_reveal() -> None:
    """Not its opening either, nor the making of its Submissions."""
    opens, reveal = (START + timedelta(seconds=seconds) for seconds in (300, 900))
    final = {**PHASE, "name": "final", "datasets": ["ds-e"], "from": {"phase": "practice"}}

    async def scenario(hackathon: Hackathon, service: Service) -> None:
        for team, name in (("red", "one"), (HACK, "linear")):
            hackathon.submit(team, name)
            await hackathon.ended(team, name, 200)
        await asyncio.sleep((opens - hackathon.now).total_seconds() - 5)
        before, seen = about(service.metrics, CUP), set()
        assert any('"red"' in line for line in before)
        while hackathon.now < reveal - timedelta(seconds=5):
            seen |= {
                (hackathon.status_or_none(HACK, name) or {}).get("phase")
                for name in ("final.red", f"final.{HACK}.linear")
            }
            assert about(service.metrics, CUP) == before
            await asyncio.sleep(1)
        assert {"Running", "Done"} <= seen
        await wait_until(
            "the reveal", lambda: any("final" in key for key in series(service.metrics, "alcove_rank")), 300
        )

    phases = [PHASE, {**final, "opensAt": stamp(opens), "revealsAt": stamp(reveal)}]
    operate(scenario, aliases="de", phases=phases)


def test_a_fault_of_the_platform_in_a_blind_phase_is_told_without_any_name() -> None:
    blind = {**PHASE, "name": "final", "feedback": {"mode": "none"}, "revealsAt": "2099-01-01T00:00:00Z"}

    async def scenario(hackathon: Hackathon, service: Service) -> None:
        await wait_until("the phase is shown", lambda: about(service.metrics, '"final"'), 30)
        before = about(service.metrics, CUP)
        told = "alcove_platform_fault_timestamp_seconds"
        hackathon.submit("red", "one", phase="final")
        await hackathon.ended("red", "one", 300)
        assert series(service.metrics, told) == {(): 0}, "how a participant's run ends is told to nobody"
        hackathon.final_outcome = {"fate": "stage-fault"}
        hackathon.submit("blue", "two", phase="final")
        await wait_until("it is told", lambda: series(service.metrics, told)[()], 300)
        assert series(service.metrics, told)[()] == pytest.approx(hackathon.now.timestamp(), abs=5)
        await hackathon.ended("blue", "two", 300)
        assert about(service.metrics, CUP) == before

    operate(scenario, phases=[blind])


def _view(team: str, number: int) -> Object:
    spec = {
        "competition": {"namespace": HACK, "name": CUP}, "phase": "practice", "code": {"bundle": {"sha256": "c" * 64}}
    }  # fmt: skip
    meta = {
        "name": "one", "namespace": team, "uid": team, "resourceVersion": str(number + 1),
        "creationTimestamp": stamp(START + timedelta(seconds=number)),
    }  # fmt: skip
    curve = [{"t": float(n + 1), "score": n / 40} for n in range(32)]
    status = {
        "phase": "Done",
        "runs": [{"dataset": "d", "phase": "Done", "cause": "Finished", "curve": curve}],
    }
    return {"metadata": meta, "spec": spec, "status": status}


def test_only_the_leading_teams_have_series() -> None:
    index = Index()
    meta = {"name": CUP, "namespace": HACK, "uid": "c", "resourceVersion": "1"}
    index.apply(COMPETITIONS, {"metadata": meta, "spec": {"phases": [PHASE]}})
    teams = [f"t{number:03}" for number in range(200)]
    for number, team in enumerate(teams):
        index.apply(SUBMISSIONS, _view(team, number))
    last = teams[-30:]
    entries = [
        {"rank": n, "team": team, "submission": "one", "submissionUid": team, "averageRank": n}
        for n, team in enumerate(last, 1)
    ]
    line = {"submission": "linear", "scores": [{"dataset": "d", "alc": 0.25}]}
    board = {"metadata": {**meta, "name": "practice"}, "spec": {"competition": CUP, "phase": "practice"}}
    index.apply(
        LEADERBOARDS,
        {**board, "status": {"generation": 1, "teams": 30, "entries": entries, "baselines": [line]}},
    )
    made, rounds = asyncio.run(_count_rounds(build_series(index.competitions[HACK, CUP], index, {}, START)))
    assert rounds > TEAMS, "others go on between two teams"
    assert made["alcove_baseline_alc"] == {(CUP, "practice", "linear", "d"): 0.25}
    shown = {labels[2] for labels in made["alcove_submissions"]}
    assert shown == {*last, *teams[: TEAMS - 30]}, "those on the board, then who came first"
    assert max(len(values) for values in made.values()) == TEAMS * 32
    named = {labels[1] for labels in made["alcove_quota_used_submissions"]}
    assert named == shown
    assert made["alcove_team_submissions"] == {(CUP, "practice", team, "Done"): 1 for team in shown}


async def _count_rounds(work: Coroutine[Any, Any, Series]) -> tuple[Series, int]:
    """What ``work`` returns, and how often others had their turn meanwhile."""
    doing, rounds = asyncio.create_task(work), 0
    while not doing.done():
        rounds += 1
        await asyncio.sleep(0)
    return doing.result(), rounds


def test_one_that_ends_while_gauges_are_made_is_counted_once() -> None:
    index = Index()
    meta = {"name": CUP, "namespace": HACK, "uid": "c", "resourceVersion": "1"}
    index.apply(COMPETITIONS, {"metadata": meta, "spec": {"phases": [PHASE]}})
    ended, last = _view("red", 0), _view("blue", 1)
    index.apply(SUBMISSIONS, ended)
    index.apply(SUBMISSIONS, {**last, "status": {"phase": "Running"}})

    async def end_meanwhile() -> Series:
        making = asyncio.create_task(build_series(index.competitions[HACK, CUP], index, {}, START))
        await asyncio.sleep(0)
        index.apply(SUBMISSIONS, {**last, "metadata": {**last["metadata"], "resourceVersion": "1000"}})
        return await making

    made = asyncio.run(end_meanwhile())
    assert made["alcove_submissions"] == {(CUP, "practice", team): 1 for team in ("red", "blue")}


def test_extra_submissions_raise_the_limits_of_their_team() -> None:
    index = Index()
    meta = {"name": CUP, "namespace": HACK, "uid": "c", "resourceVersion": "1"}
    extra = [
        {"team": "red", "count": 2, "reason": "The cluster was down", "day": START.date().isoformat()},
        {"team": "red", "count": 1, "reason": "Another day", "day": "2031-01-01"},
    ]
    spec = {"phases": [PHASE], "limits": {"perDay": 3, "total": 9}, "extraSubmissions": extra}
    index.apply(COMPETITIONS, {"metadata": meta, "spec": spec})
    for number, team in enumerate(("red", "blue")):
        index.apply(SUBMISSIONS, _view(team, number))
    made = asyncio.run(build_series(index.competitions[HACK, CUP], index, {}, START))
    assert made["alcove_quota_limit_submissions"] == {
        (CUP, "red", "day"): 5, (CUP, "red", "total"): 12, (CUP, "blue", "day"): 3, (CUP, "blue", "total"): 9
    }  # fmt: skip


def test_what_waits_for_kueue_or_a_node_is_queued_whatever_its_attempt() -> None:
    index = Index()
    meta = {"name": CUP, "namespace": HACK, "uid": "c", "resourceVersion": "1"}
    index.apply(COMPETITIONS, {"metadata": meta, "spec": {"phases": [PHASE]}})
    view = _view("red", 0)
    runs = [("a", 0, "Queued"), ("b", 1, "Queued"), ("c", 1, "Staging"), ("e", 2, "Done")]
    shown = [{"dataset": name, "attempt": attempt, "phase": phase} for name, attempt, phase in runs]
    view["status"] = {**view["status"], "phase": "Running", "runs": shown}
    index.apply(SUBMISSIONS, view)
    made = asyncio.run(build_series(index.competitions[HACK, CUP], index, {}, START))
    where = (CUP, "practice")
    assert made["alcove_team_runs"] == {(*where, "red", "queued"): 2, (*where, "red", "running"): 1}
    assert (made["alcove_runs_queued"], made["alcove_runs_running"]) == ({where: 2}, {where: 1})


ENDS = {(cause, payer) for payer, names in CAUSES_BY_PAYER.items() for cause in names}


def _shown(*phases: tuple[str, str]) -> dict[str, dict[tuple[str, ...], float]]:
    return {"alcove_runs_running": dict.fromkeys(phases, 0.0)}


def test_what_is_not_known_yet_has_no_series() -> None:
    """A gauge that begins with 0 says that the store is away, and its disks full."""
    metrics = Metrics()
    told = {
        family.name: [sample.value for sample in family.samples]
        for family in metrics.registry.collect()
        if family.type == "gauge" and family.name.startswith("alcove_") and family.samples
    }
    # That time counts from 1970, so 0 is long ago.
    assert told == {"alcove_platform_fault_timestamp_seconds": [0]}
    metrics.store.show_disks(DiskSpace(5, 10))
    sizes = ("alcove_store_free_bytes", "alcove_store_size_bytes")
    assert [series(metrics, name) for name in sizes] == [{(): 5}, {(): 10}]
    metrics.store.show_disks(None)
    assert [series(metrics, name) for name in sizes] == [{}, {}]


def test_what_is_gone_has_no_series() -> None:
    metrics = Metrics()
    for name in ("cup", "bowl"):
        metrics.show(name, _shown((name, "practice"), (name, "final")))
        metrics.observe_aggregate(name, "final", 2.0)
    metrics.show("cup", _shown(("cup", "practice")))
    assert series(metrics, "alcove_aggregate_seconds_count") == {
        ("cup", "practice"): 0, ("bowl", "practice"): 0, ("bowl", "final"): 1
    }, "a phase that was removed, or is blind again, goes with the next turn of its competition"  # fmt: skip
    assert about(metrics, '"final"') == [line for line in about(metrics, '"final"') if '"bowl"' in line]
    metrics.forget({"cup"})
    assert about(metrics, '"bowl"') == []
    assert series(metrics, "alcove_runs_running") == {("cup", "practice"): 0}
    metrics.store.show_prefix_bytes({"runs": 3, "data": 4})
    metrics.store.show_prefix_bytes({"runs": 3})
    assert series(metrics, "alcove_store_prefix_bytes") == {("runs",): 3}


def test_a_competition_that_is_deleted_takes_its_series_with_it_at_once() -> None:
    async def scenario(hackathon: Hackathon, service: Service) -> None:
        await wait_until("it is shown", lambda: about(service.metrics, f'"{CUP}"'), 30)
        hackathon.server.request("DELETE", f"/apis/alcove.dev/v1alpha1/namespaces/{HACK}/competitions/{CUP}")
        await wait_until("it is gone", lambda: not about(service.metrics, f'"{CUP}"'), 30)

    operate(scenario)


def test_all_that_is_counted_of_a_phase_begins_with_0_and_has_no_second_series() -> None:
    """Else the first run of a cause is no increase for Prometheus."""
    metrics = Metrics()
    metrics.show("cup", _shown(("cup", "practice")))
    runs = series(metrics, "alcove_runs_total")
    assert runs == {("cup", "practice", cause, payer or "nobody"): 0 for cause, payer in ENDS}
    assert about(metrics, "_created") == []
    exposed = generate_latest(ServerMetrics().registry).decode()
    assert "_created" not in exposed


def _calls(tree: ast.AST) -> Iterator[tuple[str, list[ast.expr]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node.args


def test_every_end_of_a_run_that_the_operator_can_find_is_among_those_that_are_counted() -> None:
    payers = {"charge_participant": "Participant", "charge_platform": "Platform"}
    found: set[tuple[str, str]] = set()
    for path in Path(causes.__file__).parent.glob("*.py"):
        for function, arguments in _calls(ast.parse(path.read_text())):
            said = [str(argument.value) for argument in arguments if isinstance(argument, ast.Constant)]
            if function in payers:
                found.add((said[0], payers[function]))
            elif function == "Cause" and len(said) > 1 and isinstance(arguments[0], ast.Constant):
                found.add((said[0], said[1]))
    assert found | {(NO_PREDICTIONS, "Participant")} == ENDS


def test_quota_used_is_what_the_status_counts_also_of_what_was_deleted() -> None:
    async def scenario(hackathon: Hackathon, service: Service) -> None:
        hackathon.submit("red", "one")
        await hackathon.ended("red", "one", 300)
        hackathon.server.request("DELETE", "/apis/alcove.dev/v1alpha1/namespaces/red/submissions/one")
        await wait_until(
            "it is gone", lambda: series(service.metrics, "alcove_submissions").get((CUP, "practice", "red")) == 0, 120
        )  # fmt: skip
        used = series(service.metrics, "alcove_quota_used_submissions")
        assert hackathon.usage("red")["total"] == used[CUP, "red", "total"] == 1
        assert hackathon.usage("red")["today"] == used[CUP, "red", "day"] == 1

    operate(scenario)


def test_a_team_that_is_gone_has_no_series() -> None:
    async def scenario(hackathon: Hackathon, service: Service) -> None:
        hackathon.submit("red", "one")
        await hackathon.ended("red", "one", 300)
        await wait_until("red is ranked", lambda: series(service.metrics, "alcove_rank"), 60)
        hackathon.server.request("DELETE", "/apis/alcove.dev/v1alpha1/namespaces/red/submissions/one")
        await wait_until("it is gone", lambda: not series(service.metrics, "alcove_submissions"), 120)

    operate(scenario, phases=[{**PHASE, "deletedSubmissions": "withdraw"}])


def test_requests_that_fail_are_counted_and_answers_are_not() -> None:
    async def scenario(hackathon: Hackathon, service: Service) -> None:
        hackathon.server.forbidden.add(("submissions", "red"))
        await asyncio.sleep(400)
        failures = series(service.metrics, "alcove_api_failures_total")
        requests = series(service.metrics, "alcove_api_requests_total")
        assert {labels for labels, count in failures.items() if count} == {("GET", "submissions", "403")}
        # Prometheus sees no increase of what begins with 1.
        assert failures.keys() >= {(*request, "0") for request in requests}
        turns = series(service.metrics, "alcove_work_failures_total")
        assert turns.keys() == {("submission",), ("competition",), ("board",), ("dataset",), ("rescore",)}

    operate(scenario)


def test_runs_that_do_not_start_and_credentials_that_are_not_renewed_are_counted() -> None:
    async def scenario(hackathon: Hackathon, service: Service) -> None:
        hackathon.holding = True
        hackathon.submit("red", "one")
        await wait_until("it has a Job", lambda: hackathon.run_jobs(), 60)
        service.jobs_health.measure(hackathon.now)
        assert series(service.metrics, "alcove_runs_overdue_start") == {(): 0}
        service.jobs_health.measure(hackathon.now + timedelta(seconds=460))
        assert series(service.metrics, "alcove_runs_overdue_start") == {(): 1}
        await hackathon.running("red", "one")
        service.jobs_health.measure(hackathon.now + timedelta(seconds=460))
        assert series(service.metrics, "alcove_runs_overdue_start") == {(): 0}
        assert series(service.metrics, "alcove_credentials_overdue_runs") == {(): 0}
        issued = service.credentials._known[hackathon.run_jobs()[0]]
        late = hackathon.now + issued.life
        service.credentials.clock = lambda: late
        service.jobs_health.measure(hackathon.now)
        assert series(service.metrics, "alcove_credentials_overdue_runs") == {(): 1}

    operate(scenario)


def test_a_check_that_finds_a_dataset_unsound_is_no_failure_of_the_scorer() -> None:
    index, metrics = Index(), Metrics()
    health = JobsHealth(index, JobCredentials(cast(Api, None), cast(OperatorSettings, None)), metrics)
    unsound = CheckResult(ok=False, problems=("The solution has 49 rows.",)).model_dump_json()
    for name, message in (("c-unsound", unsound), ("c-undone", "solutions/x has more than 67108864 bytes.")):
        labels = {"alcove.dev/role": "check", "batch.kubernetes.io/job-name": name}
        meta = {
            "name": name, "namespace": HACK, "uid": name, "resourceVersion": "1", "labels": labels,
            "creationTimestamp": stamp(START),
        }  # fmt: skip
        failed = [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy"}]
        index.apply(
            JOBS, {"metadata": meta, "spec": {"template": {"spec": {}}}, "status": {"conditions": failed}}
        )
        state = {"terminated": {"exitCode": 1, "message": message}}
        containers = [{"name": "check", "restartCount": 0, "state": state}]
        pod = {"metadata": {**meta, "name": f"{name}-pod"}, "spec": {}}
        index.apply(PODS, {**pod, "status": {"phase": "Failed", "containerStatuses": containers}})
    health.measure(START)
    assert series(metrics, "alcove_scorer_failures_total")[("check",)] == 1


def test_of_scorers_that_fail_for_a_blind_phase_only_the_time_is_told() -> None:
    """Predictions that break the scorer, if there are any, must not move a count."""
    index, metrics = Index(), Metrics()
    health = JobsHealth(index, JobCredentials(cast(Api, None), cast(OperatorSettings, None)), metrics)
    blind = {**PHASE, "name": "final", "revealsAt": stamp(START + timedelta(hours=1))}
    meta = {"name": CUP, "namespace": HACK, "uid": "c", "resourceVersion": "1"}
    index.apply(COMPETITIONS, {"metadata": meta, "spec": {"phases": [PHASE, blind]}})

    def fail(name: str, role: str, phase: str) -> None:
        labels = {"alcove.dev/role": role, "alcove.dev/competition": CUP, "alcove.dev/phase": phase}
        made = {**meta, "name": name, "uid": name, "labels": labels, "creationTimestamp": stamp(START)}
        failed = [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
        status = {"conditions": failed}
        index.apply(JOBS, {"metadata": made, "spec": {"template": {"spec": {}}}, "status": status})

    count, time = "alcove_scorer_failures_total", "alcove_scorer_fault_timestamp_seconds"
    none = {("score",): 0, ("aggregate",): 0, ("check",): 0}
    fail("s-secret", "score", "final")
    fail("s-of-a-phase-that-is-gone", "score", "removed")
    health.measure(START)
    assert series(metrics, count) == none
    assert series(metrics, time) == {("score",): START.timestamp()}
    fail("s-seen", "score", "practice")
    fail("a-seen", "aggregate", "practice")
    health.measure(START + timedelta(minutes=1))
    assert series(metrics, count) == {**none, ("score",): 1, ("aggregate",): 1}
    assert series(metrics, time) == {("score",): START.timestamp()}
    fail("s-revealed", "score", "final")
    health.measure(START + timedelta(hours=2))
    assert series(metrics, count) == {**none, ("score",): 2, ("aggregate",): 1}


def test_a_phase_that_lacks_a_dataset_says_so_though_it_is_blind() -> None:
    lacking = {**PHASE, "name": "final", "datasets": ["ds-d", "ds-none"], "revealsAt": "2099-01-01T00:00:00Z"}

    async def scenario(_: Hackathon, service: Service) -> None:
        service.queue.add(WorkKey("competition", HACK, CUP))
        problems = "alcove_phase_problems"
        await wait_until("it is told", lambda: series(service.metrics, problems), 30)
        assert series(service.metrics, problems) == {
            (CUP, "final", kind): kind == "dataset" for kind in PROBLEM_KINDS
        }
        assert series(service.metrics, "alcove_dataset_ready") == {}

    operate(scenario, phases=[lacking])
