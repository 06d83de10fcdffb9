from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config
from kubernetes.client import ApiException

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest, BoardCurves, BoardHistory, BoardSubmission
from alcove_api.score_documents import (
    SCORER_VERSION,
    CurvePoint,
    ScoredRun,
    ScoreRequest,
    ScoreResult,
    Scoring,
)
from tests.cluster import api

from .conftest import Job, Recording, Store, ask_for_board, eventually, prediction

pytestmark = pytest.mark.integration
CRD = Path(__file__).parents[3] / "crds" / "leaderboards.yaml"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Start = Callable[..., Job]
Make = Callable[..., ScoreRequest]


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    name = f"scorer-{os.getpid()}"
    raised = api.control_plane(name, lambda _: None)
    try:
        config.load_kube_config(str(raised.kubeconfig))
        client.ApiextensionsV1Api().create_custom_resource_definition(yaml.safe_load(CRD.read_text()))
        yield raised.kubeconfig
    finally:
        api.down(name)


@pytest.fixture
def board(kubeconfig: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name of an empty Leaderboard in `default`, and what reads it."""
    assert kubeconfig.exists()
    objects = client.CustomObjectsApi()
    name = f"b{abs(hash(request.node.name)) % 10**9}"
    where = ("alcove.dev", "v1alpha1", "default", "leaderboards")
    body = {
        "apiVersion": "alcove.dev/v1alpha1",
        "kind": "Leaderboard",
        "metadata": {"name": name},
        "spec": {"competition": "hackathon", "phase": "practice"},
    }

    def created() -> bool:
        try:
            objects.create_namespaced_custom_object(*where, body)
        except ApiException as error:
            if error.status == 404:  # the API server does not serve the new kind yet
                return False
            raise
        return True

    eventually(created, "the Leaderboard can be created")
    yield name, lambda: objects.get_namespaced_custom_object(*where, name)
    objects.delete_namespaced_custom_object(*where, name)


def entry(store: Store, team: str, minute: int, **alcs: float | None) -> BoardSubmission:
    """A counted submission whose score is in the store."""
    runs = tuple(
        ScoredRun(
            alias=alias,
            dataset=f"secret-{alias}",
            attempt=1,
            cause="Finished" if alc is not None else "OutOfMemory",
            alc=alc,
            final_score=alc,
            snapshots=1,
            points=() if alc is None else (CurvePoint(t=2, score=alc),),
            refused=(),
            manifest_sha256=None,
        )
        for alias, alc in alcs.items()
    )
    result = ScoreResult(
        submission_uid=f"uid-{team}",
        scorer_version=SCORER_VERSION,
        scoring_digest="0123456789abcdef",
        scoring=Scoring(),
        t0_seconds=1,
        budget_seconds=30,
        runs=runs,
    )
    store.put(keys.score_result(result.submission_uid, result.scoring_digest), result.canonical())
    return BoardSubmission(
        team=team,
        submission=f"{team}-1",
        submission_uid=result.submission_uid,
        created_at=NOON + timedelta(minutes=minute),
        scoring_digest=result.scoring_digest,
    )


def aggregation(name: str, generation: int, *entries: BoardSubmission, **changes: Any) -> AggregateRequest:
    return AggregateRequest(
        competition_namespace="default",
        competition="hackathon",
        phase=name,
        leaderboard=name,
        datasets=("d1", "d2"),
        budget_seconds=30,
        entries=entries,
        generation=generation,
        **changes,
    )


def test_a_board_is_ranked_written_and_published(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    entries = (
        entry(store, "later", 5, d1=0.812345, d2=0.7),
        entry(store, "earlier", 1, d1=0.7, d2=0.812345),
        entry(store, "crashed", 2, d1=None, d2=0.6),
        entry(store, "negative", 3, d1=-0.2, d2=0.0),
    )
    gone = entries[0].model_copy(update={"team": "gone", "submission_uid": "uid-gone"})
    job = start("aggregate", aggregation(name, 1, *entries, gone), KUBECONFIG=str(kubeconfig))
    assert job.wait() == (0, "")
    status = read()["status"]
    assert [(e["rank"], e["team"], e["averageRank"]) for e in status["entries"]] == [
        (1, "earlier", 1.5),
        (1, "later", 1.5),
        (3, "crashed", 3.5),
        (3, "negative", 3.5),
    ]
    assert status["entries"][1]["scores"][0] == {"dataset": "d1", "alc": 0.8123, "rank": 1.0}
    crashed = status["entries"][2]["scores"][0]
    assert (crashed.get("alc"), crashed["rank"]) == (None, 4.0)
    assert (status["teams"], status["generation"]) == (4, 1)
    assert status["leaders"] == "1= earlier, 1= later"
    lines = status["table"].splitlines()
    assert lines[0].split() == ["RANK", "TEAM", "SUBMISSION", "MEAN-RANK", "95%", "D1", "D2"]
    assert "OutOfMemory" in lines[3]
    assert "-0.2000 (3)" in lines[4]
    where = ("default", "hackathon", name)
    table = store.json(keys.board(*where, "table.json"))
    assert [e["team"] for e in table["entries"]] == ["earlier", "later", "crashed", "negative"]
    assert table["problems"] == ["gone/later-1 is left out: its score is missing; score it again."]
    page = (store.get(keys.board(*where, "leaderboard.html")) or b"").decode()
    assert "Critical difference" in page
    assert "secret" not in page


def test_reports_show_other_teams_of_the_board_in_grey(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]], request_for: Make
) -> None:
    name, _ = board
    where = ("default", "hackathon", name)

    def scored(team: str, share: float) -> tuple[BoardSubmission, str]:
        """A submission of the team's through the score job, and its report."""
        place = {"namespace": team, "competition_namespace": "default", "phase": name}
        asked = request_for("d1", "d2").model_copy(update=place)
        for dataset in asked.datasets:
            run = Recording(store, asked.submission_uid, dataset.alias)
            run.snapshot(2, prediction(share))
            run.seal()
            run.verdict()
        assert start("score", asked).wait() == (0, "")
        counted = BoardSubmission(
            team=team,
            submission="first",
            submission_uid=asked.submission_uid,
            created_at=NOON,
            scoring_digest=asked.scoring_digest(),
        )
        return counted, (store.get(keys.report(asked.submission_uid)) or b"").decode()

    made = [scored("red", 0.7), scored("blue", 0.8)]
    assert not [report for _, report in made if "Grey:" in report]
    entries = [counted for counted, _ in made]
    environment = {"KUBECONFIG": str(kubeconfig)}
    assert start("aggregate", aggregation(name, 1, *entries), **environment).wait() == (0, "")
    curves = BoardCurves.model_validate_json(store.get(keys.board(*where, "curves.json")) or b"")
    assert [(curve.alias, len(curve.points)) for curve in curves.curves] == [("d1", 1), ("d2", 1)] * 2
    assert not [team for team in ("red", "blue") if team in curves.canonical().decode()]
    again, report = scored("red", 0.9)
    assert report.count("Grey: 1 other team at") == 2
    assert scored("green", 0.5)[1].count("Grey: 2 other teams at") == 2

    assert start("aggregate", aggregation(name, 2, again, entries[1]), **environment).wait() == (0, "")
    history = BoardHistory.model_validate_json(store.get(keys.board(*where, "history.json")) or b"")
    assert [(past.generation, past.teams) for past in history.boards] == [
        (1, ("blue", "red")),
        (2, ("red", "blue")),
    ]
    page = (store.get(keys.board(*where, "leaderboard.html")) or b"").decode()
    assert "Ranks over time" in page


def test_an_older_board_never_replaces_a_newer(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    one, two = entry(store, "one", 1, d1=0.8, d2=0.8), entry(store, "two", 2, d1=0.9, d2=0.9)
    assert start("aggregate", aggregation(name, 7, one, two), KUBECONFIG=str(kubeconfig)).wait()[0] == 0
    newer = read()["status"]
    assert start("aggregate", aggregation(name, 6, one), KUBECONFIG=str(kubeconfig)).wait()[0] == 0
    assert read()["status"] == newer
    table = store.json(keys.board("default", "hackathon", name, "table.json"))
    assert table["generation"] == 7


def test_boards_of_one_moment_end_with_the_newest(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    one = entry(store, "one", 1, d1=0.8, d2=0.8)
    jobs = [start("aggregate", aggregation(name, n, one), KUBECONFIG=str(kubeconfig)) for n in (1, 2, 3)]
    assert [job.wait()[0] for job in jobs] == [0, 0, 0]
    assert read()["status"]["generation"] == 3


def test_a_board_without_entries(
    start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    assert start("aggregate", aggregation(name, 1), KUBECONFIG=str(kubeconfig)).wait()[0] == 0
    assert read()["status"]["table"] == "No entries yet."


def test_a_missing_leaderboard_is_said(store: Store, start: Start, kubeconfig: Path) -> None:
    one = entry(store, "one", 1, d1=0.8, d2=0.8)
    status, message = start("aggregate", aggregation("absent", 1, one), KUBECONFIG=str(kubeconfig)).wait()
    assert status == 3
    assert "Leaderboard default/absent was not read." in message
    assert "There is no leaderboards/absent in the namespace default." in message


def test_a_board_of_more_teams_than_an_environment_variable_holds(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    one = entry(store, "team-0000", 1, d1=0.8, d2=0.8)
    request = aggregation(name, 1, *(one.model_copy(update={"team": f"team-{n:04}"}) for n in range(900)))
    assert len(request.canonical()) > 128 << 10
    assert start("aggregate", request, KUBECONFIG=str(kubeconfig)).wait() == (0, "")
    status = read()["status"]
    assert (status["teams"], len(status["entries"])) == (900, 100)


def test_a_request_that_is_not_what_was_asked_for_is_not_followed(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    one = entry(store, "one", 1, d1=0.8, d2=0.8)
    asked, kubectl = aggregation(name, 1, one), {"KUBECONFIG": str(kubeconfig)}
    status, message = start("aggregate", asked, **kubectl, sha256="0" * 64).wait()
    assert status == 3
    assert "is not what the operator asked for" in message
    status, message = start("aggregate", asked, **kubectl, ALCOVE_REQUEST_KEY="boards/absent.json").wait()
    assert status == 3
    assert "boards/absent.json" in message
    status, message = start("aggregate", asked, **kubectl, ALCOVE_REQUEST_KEY="").wait()
    assert status == 2
    assert "ALCOVE_REQUEST_KEY" in message
    assert "entries" not in read().get("status", {})


def test_one_that_is_started_ahead_waits_for_what_it_is_to_rank(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    one = entry(store, "one", 1, d1=0.8, d2=0.8)
    kubectl = {"KUBECONFIG": str(kubeconfig)}
    assert start("aggregate", aggregation(name, 1), **kubectl).wait() == (0, "")
    ahead = start("aggregate", aggregation(name, 2, one), **kubectl, sha256=None)
    with pytest.raises(subprocess.TimeoutExpired):
        ahead.process.wait(timeout=3)
    assert read()["status"]["generation"] == 1
    ask_for_board(str(kubeconfig), aggregation(name, 2, one), aggregation(name, 2, one).digest())
    assert ahead.wait() == (0, "")
    assert read()["status"]["generation"] == 2


def test_one_that_was_passed_over_makes_no_board(
    store: Store, start: Start, kubeconfig: Path, board: tuple[str, Callable[[], Any]]
) -> None:
    name, read = board
    one, kubectl = entry(store, "one", 1, d1=0.8, d2=0.8), {"KUBECONFIG": str(kubeconfig)}
    assert start("aggregate", aggregation(name, 3, one), **kubectl).wait() == (0, "")
    assert start("aggregate", aggregation(name, 2), **kubectl, sha256=None).wait() == (0, "")
    assert read()["status"]["generation"] == 3
