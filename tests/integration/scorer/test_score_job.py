from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import SUSPENDED, VersioningConfig

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.run_documents import Manifest
from alcove_api.score_documents import Feedback, ScoreRequest, ScoreResult, Scoring
from alcove_scorer import attempt_reader, job_score
from alcove_scorer.curves import Point, area_under_curve, latest_per_time, resolve_rules
from alcove_scorer.disclosure import limit_run
from alcove_scorer.metrics import BalancedAccuracy
from alcove_scorer.store import RECORD_BYTES, RunRecords

from .conftest import SOLUTION, Job, Recording, Store, eventually, npy, prediction

pytestmark = pytest.mark.integration
Start = Callable[..., Job]
Make = Callable[..., ScoreRequest]


def result(store: Store, request: ScoreRequest) -> ScoreResult:
    data = store.get(keys.score_result(request.submission_uid, request.scoring_digest()))
    assert data is not None
    return ScoreResult.model_validate_json(data)


def shows(store: Store, request: ScoreRequest, snapshots: list[int]) -> bool:
    """Whether the live curve has so many snapshots of each run."""
    document = store.json(keys.live_curve(request.submission_uid))
    return document is not None and [run["snapshots"] for run in document["runs"]] == snapshots


def read(data: bytes) -> np.ndarray:
    return np.frombuffer(data[-SOLUTION.size * 4 :], np.float32).reshape(SOLUTION.shape)


def test_a_run_is_scored_when_its_verdict_is_there(store: Store, start: Start, request_for: Make) -> None:
    request = request_for("one", "two", "three", "four")
    one, two, three, four = (Recording(store, request.submission_uid, d.alias) for d in request.datasets)
    one.snapshot(2, prediction(0.7))
    one.snapshot(5, None, refused="too many labels")
    one.snapshot(9, npy(np.zeros((40, 2), np.float32)))
    one.snapshot(31, prediction(0.9), seen=29.5)
    one.snapshot(32, prediction(1.0), seen=31)
    one.seal()
    one.verdict()
    two.snapshot(3, prediction(0.8))
    two.verdict("Failed", "OutOfMemory")
    three.seal()
    three.verdict()
    four.verdict("Failed", "NeverStarted", scored=False)
    status, message = start("score", request).wait()
    assert (status, message) == (0, "")
    got = {run.alias: run for run in result(store, request).runs}

    metric = BalancedAccuracy()
    scores = [metric.score(SOLUTION, read(prediction(share))) for share in (0.7, 0.9)]
    assert [(p.t, p.score) for p in got["one"].points] == [(2.0, scores[0]), (30.0, scores[1])]
    assert got["one"].alc == area_under_curve(
        latest_per_time([Point(0, 2, scores[0]), Point(3, 30, scores[1])]), resolve_rules(30)
    )
    assert got["one"].final_score == scores[1]
    assert [(r.seq, r.reason.split(":")[0]) for r in got["one"].refused] == [
        (1, "too many labels"),
        (2, "shape 40 × 2"),
        (4, "late"),
    ]
    assert got["one"].snapshots == 4
    assert (got["two"].cause, len(got["two"].points)) == ("OutOfMemory", 1)
    assert (got["three"].cause, got["three"].alc, got["three"].attempt) == ("NoPredictions", None, 1)
    assert (got["four"].cause, got["four"].alc, got["four"].attempt) == ("NeverStarted", None, None)
    for alias in ("one", "two", "three", "four"):
        assert (store.get(keys.score_svg(request.submission_uid, alias)) or b"").startswith(b"<?xml")
    report = (store.get(keys.report(request.submission_uid)) or b"").decode()
    assert "OutOfMemory" in report
    assert "secret" not in report


OUTPUT = (
    b"first line\n" * 200
    + b"epoch 1\repoch 2\n\x1b[31mTraceback (most recent call last):\x1b[0m\n  ValueError: <b>no</b>\n"
)


def test_a_run_that_failed_without_a_score_keeps_its_cause_and_shows_the_end_of_its_output(
    store: Store, start: Start, request_for: Make
) -> None:
    request = request_for("one", "two")
    one, two = (Recording(store, request.submission_uid, d.alias) for d in request.datasets)
    one.seal()
    one.verdict(cause="ExitCode")
    two.snapshot(1, None, refused="too many labels")
    two.seal()
    two.verdict(cause="DeadlineReached")
    store.put(keys.log(one.prefix), OUTPUT)
    for shown in (True, False):
        asked = request.replace(show_output=shown)
        assert start("score", asked).wait()[0] == 0
        assert [run.cause for run in result(store, asked).runs] == ["ExitCode", "NoPredictions"]
        report = (store.get(keys.report(request.submission_uid)) or b"").decode()
        assert ("ValueError: &lt;b&gt;no" in report, "The end of its output" in report) == (shown, shown)
        assert "epoch 1" not in report
        assert ("\x1b" in report, "[31m" in report) == (False, False)
        assert 0 < report.count("first line") < 200 if shown else "first line" not in report


def test_a_missing_manifest_is_sealed_from_the_records(store: Store, start: Start, request_for: Make) -> None:
    request = request_for("one")
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(2, prediction(0.7))
    run.snapshot(4, prediction(0.9))
    run.verdict("Failed", "ExitCode")
    assert start("score", request).wait()[0] == 0
    sealed = Manifest.model_validate_json(store.get(keys.manifest(run.prefix)) or b"")
    assert (sealed.sealed_by, sealed.records, sealed.head) == (
        "scorer",
        tuple(run.records),
        run.records[-1].digest(),
    )
    # Scoring again reads the same manifest and changes nothing.
    first = result(store, request)
    assert start("score", request).wait()[0] == 0
    assert result(store, request) == first


def test_a_live_curve_grows_and_says_no_more_than_it_may(
    store: Store, start: Start, request_for: Make
) -> None:
    feedback = Feedback(mode="live", decimals=1, max_snapshots=2, test_fraction=0.5)
    request = request_for("one", feedback=feedback)
    run = Recording(store, request.submission_uid, "one")
    job = start("score", request)
    key = keys.live_curve(request.submission_uid)

    def live(snapshots: int) -> object:
        document = store.json(key)
        return document["runs"][0] if document and document["runs"][0]["snapshots"] == snapshots else None

    run.snapshot(2, prediction(0.7))
    first = eventually(lambda: live(1), "the first snapshot's curve")
    for seconds in (3, 4, 29):
        run.snapshot(seconds, prediction(0.9))
    last = eventually(lambda: live(4), "the last snapshot's curve")
    assert last["curve"][:1] == first["curve"]
    assert len(last["curve"]) == 2
    numbers = [last["alc"], *(point["score"] for point in last["curve"])]
    assert all(number == round(number, 1) for number in numbers)
    run.seal()
    run.verdict()
    assert job.wait()[0] == 0
    (scored,) = result(store, request).runs
    assert scored.points[0].score == BalancedAccuracy().score(SOLUTION, read(prediction(0.7)))
    # The end shows the same part of the test set as the live curve did.
    shown = limit_run(scored, job_score.request_rules(request), 1, 2)
    assert [(p.seconds, p.score) for p in shown] == [(p["t"], p["score"]) for p in last["curve"]]
    assert [p.score for p in scored.points_to_show()] != [p.score for p in scored.points]


def test_a_repeated_run_shows_what_its_first_attempt_has_left(
    store: Store, start: Start, request_for: Make
) -> None:
    request = request_for("one", feedback=Feedback(mode="live", max_snapshots=3))
    job = start("score", request)
    key = keys.live_curve(request.submission_uid)

    def live(attempt: int, snapshots: int) -> Any:
        (run,) = (store.json(key) or {"runs": [{}]})["runs"]
        return run if (run.get("attempt"), run.get("snapshots")) == (attempt, snapshots) else None

    before = 0
    for attempt, times in ((1, (2, 20)), (2, (1, 2, 9, 29))):
        run = Recording(store, request.submission_uid, "one", attempt, f"pod-{attempt}")
        for seconds in times:
            run.snapshot(seconds, prediction(0.5 + attempt / 5))
        seen = eventually(partial(live, attempt, len(times)), f"the curve of attempt {attempt}")
        assert seen["points_shown"] == len(seen["curve"]) > 0
        before = before or seen["points_shown"]
    run.seal()
    run.verdict(points_shown_before=before)
    assert job.wait()[0] == 0
    (scored,) = result(store, request).runs
    assert (scored.attempt, scored.points_shown_before, len(scored.points)) == (2, before, 4)
    assert len(limit_run(scored, job_score.request_rules(request), 3, 3)) == 3 - before
    page = store.get(keys.report(request.submission_uid))
    assert page is not None
    assert f"of which an earlier attempt has shown {before}".encode() in page


def test_a_live_curve_misses_no_snapshot_and_is_written_at_most_once_a_second(
    store: Store, start: Start, request_for: Make
) -> None:
    request = request_for("one", "two", feedback=Feedback(mode="live"))
    one, two = (Recording(store, request.submission_uid, d.alias) for d in request.datasets)
    key = keys.live_curve(request.submission_uid)
    store.client.set_bucket_versioning(keys.MAIN_BUCKET, VersioningConfig(ENABLED))
    try:
        job = start("score", request)
        for number in range(1, 5):
            for run in (one, two):
                run.snapshot(number, prediction(0.5 + number / 10))
            eventually(partial(shows, store, request, [number, number]), f"snapshot {number} of both")
        for run in (one, two):
            run.verdict()
        assert job.wait()[0] == 0
        found = store.client.list_objects(keys.MAIN_BUCKET, prefix=key, include_version=True)
        stamps = sorted(version.last_modified for version in found)
    finally:
        store.client.set_bucket_versioning(keys.MAIN_BUCKET, VersioningConfig(SUSPENDED))
    assert len(stamps) >= 4
    # The last write alone, once every verdict is there, need not wait.
    least = timedelta(seconds=job_score.WRITE_SECONDS - 0.01)
    assert all(later - earlier >= least for earlier, later in pairwise(stamps[:-1]))


def test_a_record_that_is_too_large_is_not_read(store: Store, start: Start, request_for: Make) -> None:
    """Nor does it keep another dataset from its score."""
    request = request_for("one", "two")
    for dataset in request.datasets:
        run = Recording(store, request.submission_uid, dataset.alias)
        run.snapshot(2, prediction(0.7))
        run.verdict(head=run.records[-1].digest())
        if dataset.alias == "one":
            padded = run.records[0].canonical() + b" " * RECORD_BYTES
            store.put(keys.record(run.prefix, 0), padded)
    assert start("score", request).wait() == (0, "")
    damaged, sound = result(store, request).runs
    assert (damaged.cause, damaged.alc) == ("StoreDamaged", None)
    assert str(RECORD_BYTES) in (damaged.message or "")
    assert sound.alc is not None


def runs_of(store: Store, request: ScoreRequest, http: urllib3.PoolManager | None = None) -> RunRecords:
    """As the job makes it, in this process."""
    address = store.environment["ALCOVE_STORE_ENDPOINT"].removeprefix("http://")
    document = Path(store.environment["ALCOVE_STORE_CREDENTIALS"]).read_bytes()
    known = StoreCredentials.model_validate_json(document)
    client = Minio(
        endpoint=address, access_key=known.access_key, secret_key=known.secret_key, secure=False,
        region="us-east-1", http_client=http,
    )  # fmt: skip
    return RunRecords(client, keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET, request.submission_uid)


@pytest.mark.parametrize("decided", [False, True])
def test_a_backlog_is_shown_while_it_is_worked_off(
    store: Store, request_for: Make, monkeypatch: pytest.MonkeyPatch, decided: bool
) -> None:
    monkeypatch.setattr(attempt_reader, "BURST_SECONDS", 0.0)
    request = request_for("one", feedback=Feedback(mode="live"))
    run = Recording(store, request.submission_uid, "one")
    for number in range(3):
        run.snapshot(number, prediction(0.7))
    if decided:
        run.seal()
        run.verdict()
    runs, dataset = runs_of(store, request), request.datasets[0]
    rules = job_score.request_rules(request)
    follower = attempt_reader.RunFollower(runs, request, dataset, rules, runs.solution(dataset, rules.metric))
    for shown in (1, 2, 3):
        assert not follower.advance()
        assert (follower.live().snapshots, follower.result) == (shown, None)
    assert follower.advance()
    assert (follower.result is not None) == decided


class CountingPool(urllib3.PoolManager):  # type: ignore[misc]  # the library is not followed
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []

    def urlopen(self, method: str, url: str, redirect: bool = True, **more: Any) -> Any:
        self.asked.append((method, url.split("/", 3)[3]))
        return super().urlopen(method, url, redirect, **more)


def test_nothing_is_downloaded_twice(store: Store, request_for: Make) -> None:
    request = request_for("one", feedback=Feedback(mode="live", test_fraction=0.5))
    run = Recording(store, request.submission_uid, "one")
    pool = CountingPool()
    with ThreadPoolExecutor(1) as thread:
        job = thread.submit(job_score.score_submission, request, runs_of(store, request, pool))
        for number in range(1, 4):
            run.snapshot(number, prediction(0.7))
            eventually(partial(shows, store, request, [number]), f"snapshot {number}")
        run.snapshot(4, npy(np.zeros((40, 2), np.float32)))
        run.seal()
        run.verdict(head=run.records[-1].digest())
        assert len(job.result(60).runs[0].points) == 3
    got = Counter(path for method, path in pool.asked if method == "GET" and "?" not in path)
    data = [f"{keys.MAIN_BUCKET}/{keys.snapshot(run.prefix, i)}" for i in range(4)]
    records = [f"{keys.MAIN_BUCKET}/{keys.record(run.prefix, i)}" for i in range(4)]
    solution = f"{keys.SOLUTIONS_BUCKET}/{keys.solution(request.datasets[0].solution_sha256)}"
    assert [got[path] for path in (*data, solution)] == [1] * 5
    # The last ones may have been read of the manifest.
    assert max(got[path] for path in records) == 1


def test_a_manifest_that_the_report_proves_stands_for_its_records(store: Store, request_for: Make) -> None:
    request = request_for("one")
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(2, prediction(0.7))
    run.snapshot(4, prediction(0.8))
    run.seal()
    run.verdict(head=run.records[-1].digest())
    forged = run.records[0].model_copy(update={"t_ns": 1})
    store.put(keys.record(run.prefix, 0), forged.canonical())
    pool = CountingPool()
    got = job_score.score_submission(request, runs_of(store, request, pool)).runs[0]
    assert (got.cause, [point.t for point in got.points]) == ("Finished", [2.0, 4.0])
    assert not [path for _, path in pool.asked if f"{run.prefix}/rec/" in path]


@pytest.mark.parametrize("mode", ["final", "none"])
def test_without_live_feedback_nothing_is_written_before_the_end(
    store: Store, start: Start, request_for: Make, mode: str
) -> None:
    request = request_for("one", "two", feedback=Feedback(mode="final" if mode == "final" else "none"))
    one, two = (Recording(store, request.submission_uid, d.alias) for d in request.datasets)
    one.snapshot(2, prediction(0.7))
    one.verdict()
    job = start("score", request)
    eventually(lambda: store.get(keys.manifest(one.prefix)), "the first run's manifest")
    listed = list(
        store.client.list_objects(keys.MAIN_BUCKET, f"scores/{request.submission_uid}/", recursive=True)
    )
    assert listed == []
    two.verdict("Failed", "NeverStarted", scored=False)
    assert job.wait()[0] == 0
    assert store.get(keys.live_curve(request.submission_uid)) is None
    assert len(result(store, request).runs) == 2


def test_only_the_attempt_of_the_verdict_is_scored(store: Store, start: Start, request_for: Make) -> None:
    request = request_for("one", feedback=Feedback(mode="live"))
    first = Recording(store, request.submission_uid, "one", 1, "pod-a")
    second = Recording(store, request.submission_uid, "one", 2, "pod-b")
    first.snapshot(2, prediction(0.9))
    job = start("score", request)
    key = keys.live_curve(request.submission_uid)
    eventually(lambda: store.json(key) and store.json(key)["runs"][0]["snapshots"] == 1, "the first attempt")
    second.snapshot(3, prediction(0.6))
    second.snapshot(4, prediction(0.7))
    eventually(lambda: store.json(key)["runs"][0]["snapshots"] == 2, "the second attempt's curve")
    second.seal()
    second.verdict()
    assert job.wait()[0] == 0
    got = result(store, request).runs[0]
    assert (got.attempt, [p.t for p in got.points]) == (2, [3.0, 4.0])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("changed data", "00000000.bin is not what its record says"),
        ("missing data", "00000000.bin is missing"),
        ("changed record unsealed", "does not continue the chain"),
        ("changed manifest", "does not list the records"),
        ("broken manifest", "its head is not the digest"),
        ("unreadable verdict", "verdict.json: field"),
        ("cut off", "do not end with the one that the recorder reported last"),
        ("cut off unsealed", "do not end with the one that the recorder reported last"),
        ("added to", "do not end with the one that the recorder reported last"),
    ],
)
def test_damage_voids_its_own_run_alone_and_is_said(
    store: Store, start: Start, request_for: Make, damage: str, words: str
) -> None:
    request = request_for("other", "one")
    other = Recording(store, request.submission_uid, "other")
    other.snapshot(2, prediction(0.7))
    other.seal()
    other.verdict(head=other.records[-1].digest())
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(2, prediction(0.7))
    run.snapshot(4, prediction(0.8))
    run.seal()
    run.verdict(head=run.records[-1].digest())
    data = keys.snapshot(run.prefix, 0)
    match damage:
        case "changed data":
            store.put(data, prediction(1.0))
        case "missing data":
            store.client.remove_object(keys.MAIN_BUCKET, data)
        case "changed record unsealed":
            store.client.remove_object(keys.MAIN_BUCKET, keys.manifest(run.prefix))
            forged = run.records[0].model_copy(update={"t_ns": 1})
            store.put(keys.record(run.prefix, 0), forged.canonical())
        case "changed manifest":
            run.records[1] = run.records[1].model_copy(update={"t_ns": 1})
            run.seal()
        case "broken manifest":
            manifest = store.json(keys.manifest(run.prefix))
            manifest["records"][1]["t_ns"] = 1
            store.put(keys.manifest(run.prefix), json.dumps(manifest).encode())
        case "unreadable verdict":
            store.put(keys.verdict(run.uid, "one"), b"{}")
        case "cut off" | "cut off unsealed":
            last = run.records.pop()
            store.client.remove_object(keys.MAIN_BUCKET, keys.record(run.prefix, last.seq))
            run.seal()
            if damage == "cut off unsealed":
                store.client.remove_object(keys.MAIN_BUCKET, keys.manifest(run.prefix))
        case "added to":
            run.snapshot(0.1, prediction(1.0))
            run.seal()
    assert start("score", request).wait() == (0, "")
    good, bad = result(store, request).runs
    assert (good.cause, len(good.points), good.message) == ("Finished", 1, "")
    assert (bad.cause, bad.alc, bad.points, bad.manifest_sha256) == ("StoreDamaged", None, (), None)
    assert words in bad.message
    if damage == "cut off unsealed":
        assert store.get(keys.manifest(run.prefix)) is None
    report = (store.get(keys.report(request.submission_uid)) or b"").decode()
    assert "StoreDamaged" in report


def test_more_than_was_reported_is_scored_where_the_recorder_could_not_seal(
    store: Store, start: Start, request_for: Make
) -> None:
    request = request_for("one")
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(2, prediction(0.7))
    run.verdict("Failed", "Evicted", head=run.records[-1].digest())
    run.snapshot(4, prediction(0.8))
    for _ in range(2):  # as it was, and with the scorer's own manifest
        assert start("score", request).wait() == (0, "")
        assert [p.t for p in result(store, request).runs[0].points] == [2.0, 4.0]


def test_a_solution_of_another_shape_ends_with_3(start: Start, request_for: Make) -> None:
    request = request_for("one")
    wrong = request.datasets[0].model_copy(update={"n_labels": 4})
    status, message = start("score", request.model_copy(update={"datasets": (wrong,)})).wait()
    assert status == 3
    assert "has 40 × 3 cells, but its Dataset has 40 × 4" in message
    absent = request.datasets[0].model_copy(update={"solution_sha256": "0" * 64})
    status, message = start("score", request.model_copy(update={"datasets": (absent,)})).wait()
    assert status == 3
    assert "is missing from the store" in message


def test_a_request_that_cannot_be_ends_with_2(start: Start, request_for: Make) -> None:
    request = request_for("one", scoring=Scoring(metric="f2"))
    status, message = start("score", request).wait()
    assert status == 2
    assert "metric 'f2'" in message
    status, message = start("score", request, ALCOVE_REQUEST='{"phase": 3}').wait()
    assert status == 2
    assert "ALCOVE_REQUEST: field" in message


def test_the_autodl_scheme(store: Store, start: Start, request_for: Make) -> None:
    request = request_for("one", scoring=Scoring(scheme="autodl"))
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(2, npy(1.0 - SOLUTION))
    run.verdict()
    assert start("score", request).wait()[0] == 0
    got = result(store, request)
    assert got.t0_seconds == 60
    assert got.runs[0].final_score == -1.0
    assert got.runs[0].alc == pytest.approx(-(1 - np.log(62 / 60) / np.log(1.5)))
