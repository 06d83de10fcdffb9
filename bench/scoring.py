"""Speed and memory of the scorer, each beside what it is measured against in the same run.

    python bench/scoring.py [--quick]

The job's figures need the pinned MinIO (built on first use by tests/cluster).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from minio import Minio
from minio.error import S3Error
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    d2_absolute_error_score,
    f1_score,
    log_loss,
    r2_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.run_documents import End, Manifest, Record, Verdict
from alcove_api.score_documents import Feedback, LiveCurve, ScoreDataset, ScoreRequest, Scoring
from alcove_scorer.metrics import BalancedAccuracy, MacroF1, NormalizedAUC, Tally, make_tallies
from alcove_scorer.probability_metrics import BrierScore, LogLoss, Top5, TopK
from alcove_scorer.rank_intervals import find_board_intervals
from alcove_scorer.ranks import rank_participants
from alcove_scorer.regression_metrics import NormalizedMAE, R2Score
from bench import PEAK
from tests.cluster.minio import minio_server
from tests.cluster.stores import StoreServer

FETCH = """
import hashlib, sys
from minio import Minio
endpoint, access, secret, prefix, count = sys.argv[1:]
store = Minio(endpoint=endpoint, access_key=access, secret_key=secret, secure=False, region="us-east-1")
for seq in range(int(count)):
    response = store.get_object("alcove", f"{prefix}/snap/{seq:08d}.bin")
    digest = hashlib.sha256()
    for piece in response.stream(1 << 20):
        digest.update(piece)
    response.close(); response.release_conn()
"""
SCORER = [sys.executable, "-m", "alcove_scorer", "score"]


def seconds(action: Callable[[], Any], repeats: int) -> float:
    """Least wall-clock time: what else the machine does only ever adds to it."""
    return least(time.perf_counter, action, repeats)


def least(clock: Callable[[], float], action: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return min(times)


def row(name: str, ours: float, theirs: float | None, against: str, goal: str) -> None:
    ratio = "" if theirs is None else f"{max(theirs / ours, ours / theirs):8.1f}×"
    other = "" if theirs is None else f"{theirs:9.3f} s"
    print(f"{name:<34} {ours:9.3f} s {other:>12} {ratio:>9}  {against}; goal {goal}", flush=True)


Theirs = Callable[[np.ndarray, np.ndarray], Any]


def by_label(theirs: Theirs) -> Theirs:
    return lambda solution, prediction: [
        theirs(solution[:, j], prediction[:, j]) for j in range(solution.shape[1])
    ]


def metrics(examples: int, labels: int, repeats: int) -> None:
    """A snapshot each: what is the same for all of a solution is made once, as the job does."""
    rng = np.random.default_rng(0)
    several = rng.random((examples, labels)) < 0.1
    values = rng.random((examples, labels), dtype=np.float32)
    one = np.eye(labels, dtype=bool)[rng.integers(0, labels, examples)]
    numbers = rng.normal(size=(examples, labels))
    near = (numbers + rng.normal(size=numbers.shape)).astype(np.float32)
    every = range(labels)

    def top(k: int) -> Theirs:
        return lambda truth, values: top_k_accuracy_score(truth.argmax(axis=1), values, k=k, labels=every)

    for metric, theirs, solution, prediction in (
        (BalancedAccuracy(), by_label(lambda y, p: balanced_accuracy_score(y, p >= 0.5)), several, values),
        (NormalizedAUC(), partial(roc_auc_score, average="macro"), several, values),
        (MacroF1(), lambda y, p: f1_score(y, p >= 0.5, average="macro"), several, values),
        (LogLoss(), by_label(log_loss), several, values),
        (BrierScore(), by_label(brier_score_loss), several, values),
        (TopK(), top(1), one, values),
        (Top5(), top(5), one, values),
        (R2Score(), r2_score, numbers, near),
        (NormalizedMAE(), d2_absolute_error_score, numbers, near),
    ):
        make = make_tallies(metric, solution)
        ours = processor_seconds(partial(score_whole, make, prediction), 5 * repeats)
        reference = processor_seconds(partial(theirs, solution, prediction), repeats)
        row(f"{metric.name}, a snapshot", ours, reference, "scikit-learn", "10× faster")
    once = processor_seconds(lambda: numbers.sum() + near.sum(), 5 * repeats)
    row("what r2 reads, added up", once, None, "reads both arrays once", "–")


def processor_seconds(action: Callable[[], Any], repeats: int) -> float:
    """As :func:`seconds`, of the processor: of one thread, it does not depend on what else the machine does."""
    return least(time.process_time, action, repeats)


def score_whole(make: Callable[[], Tally], prediction: np.ndarray) -> float:
    tally = make()
    tally.add(prediction)
    return tally.score()


def ranks(repeats: int) -> None:
    scores = np.random.default_rng(1).random((10_000, 10))

    def rank() -> None:
        find_board_intervals(scores, "average", None, rank_participants(scores).rank)

    row(
        "ranks and their intervals, 10,000×10",
        seconds(rank, repeats),
        None,
        "",
        "1 s",
    )


def job(solution: np.ndarray, prediction: np.ndarray, snapshots: int) -> None:
    with minio_server(lambda _: None) as server, tempfile.TemporaryDirectory() as folder:
        run = Run(server, solution, prediction, Feedback())
        for _ in range(snapshots):
            run.snapshot()
        run.decide()
        fetch = [
            sys.executable,
            "-c",
            FETCH,
            server.endpoint,
            server.access_key,
            server.secret_key,
            run.prefix,
        ]
        environment = environment_of(server, run.request, Path(folder))
        # In turn, so that what else the machine does concerns both.
        ours, theirs = [], []
        for _ in range(6):
            theirs.append(seconds(lambda: subprocess.run([*fetch, str(snapshots)], check=True), 1))
            run.forget()  # a result that is there would be kept
            ours.append(seconds(lambda: subprocess.run(SCORER, env=environment, check=True), 1))
        run.forget()
        # A small process in between: a child's peak is at least what its parent had.
        measured = [sys.executable, "-c", PEAK, *SCORER]
        done = subprocess.run(measured, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        peak = int(done.stdout.split()[-1]) * 1024
        size = len(run.data)
        row(
            f"score job, {snapshots} × {size / 1e6:.0f} MB",
            min(ours),
            min(theirs),
            "fetching and hashing the same bytes",
            "at most 1.5× slower",
        )
        print(
            f"{'peak memory of that job':<34} {peak / 1e6:9.0f} MB {peak / size:20.2f}×  one snapshot; goal under 4×"
        )


def live(solution: np.ndarray, prediction: np.ndarray, snapshots: int) -> None:
    """From a snapshot's record in the store to the curve there that holds it."""
    rng = np.random.default_rng(2)
    with minio_server(lambda _: None) as server, tempfile.TemporaryDirectory() as folder:
        run = Run(server, solution, prediction, Feedback(mode="live"))
        scorer = subprocess.Popen(SCORER, env=environment_of(server, run.request, Path(folder)))
        try:
            delays = []
            for _ in range(snapshots):
                time.sleep(rng.uniform(0, 2))  # at any moment of the job's round
                run.snapshot()
                start = time.perf_counter()
                while run.shown() < len(run.records) and scorer.poll() is None:
                    time.sleep(0.02)
                delays.append(time.perf_counter() - start)
            run.decide()
            if scorer.wait(60):
                raise SystemExit("the score job failed")
        finally:
            scorer.kill()
        what = f"worst of {snapshots}, median {np.median(delays):.2f} s"
        row("snapshot → live curve", max(delays), None, what, "2 s")


class Run:
    """One run in a fresh store, as a recorder would leave it."""

    def __init__(
        self, server: StoreServer, solution: np.ndarray, prediction: np.ndarray, feedback: Feedback
    ) -> None:
        self.store = Minio(
            endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key, secure=False
        )
        for bucket in (keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET):
            self.store.make_bucket(bucket)
        text = np.full((solution.shape[0], 2 * solution.shape[1]), ord(" "), np.uint8)
        text[:, ::2] = solution + ord("0")
        text[:, -1] = ord("\n")
        sha256 = hashlib.sha256(text.tobytes()).hexdigest()
        self._put(keys.SOLUTIONS_BUCKET, keys.solution(sha256), text.tobytes())
        n_test, n_labels = solution.shape
        dataset = ScoreDataset(
            alias="one", name="one", solution_sha256=sha256, n_test=n_test, n_labels=n_labels
        )
        self.request = ScoreRequest(
            submission_uid="uid", namespace="n", submission="s", competition="c", phase="p", budget_seconds=1200,
            scoring=Scoring(), feedback=feedback, datasets=(dataset,),
        )  # fmt: skip
        file = io.BytesIO()
        np.save(file, prediction)
        self.data = file.getvalue()
        self.prefix = keys.attempt_prefix("uid", "one", 1, "pod")
        self.records: list[Record] = []

    def snapshot(self) -> None:
        seq = len(self.records)
        record = Record(
            seq=seq, name=f"{seq}.npy", kind="npy", seen_ns=seq * 10**9, t_ns=seq * 10**9,
            sha256=hashlib.sha256(self.data).hexdigest(), bytes=len(self.data),
            previous=self.records[-1].digest() if self.records else None,
        )  # fmt: skip
        self._put(keys.MAIN_BUCKET, keys.snapshot(self.prefix, seq), self.data)
        self._put(keys.MAIN_BUCKET, keys.record(self.prefix, seq), record.canonical())
        self.records.append(record)

    def decide(self) -> None:
        head = self.records[-1].digest()
        manifest = Manifest(
            submission_uid="uid", alias="one", attempt=1, pod_uid="pod", budget_ns=1200 * 10**9, go_at=None,
            boot_id="", end=End(cause="finished", ended_ns=0), overshoot_ns=0, records=tuple(self.records),
            head=head, sealed_by="recorder",
        )  # fmt: skip
        self._put(keys.MAIN_BUCKET, keys.manifest(self.prefix), manifest.canonical())
        verdict = Verdict(
            submission_uid="uid", alias="one", attempt=1, pod_uid="pod", phase="Done", cause="", charged_to="",
            head=head,
        )  # fmt: skip
        self._put(keys.MAIN_BUCKET, keys.verdict("uid", "one"), verdict.canonical())

    def forget(self) -> None:
        key = keys.score_result("uid", self.request.scoring_digest())
        self.store.remove_object(keys.MAIN_BUCKET, key)

    def shown(self) -> int:
        """Snapshots in the live curve."""
        try:
            response = self.store.get_object(keys.MAIN_BUCKET, keys.live_curve("uid"))
        except S3Error:
            return 0
        try:
            return LiveCurve.model_validate_json(response.read()).runs[0].snapshots
        finally:
            response.close()
            response.release_conn()

    def _put(self, bucket: str, key: str, data: bytes) -> None:
        self.store.put_object(bucket, key, io.BytesIO(data), len(data))


def environment_of(server: StoreServer, request: ScoreRequest, folder: Path) -> dict[str, str]:
    credentials = folder / "credentials.json"
    document = StoreCredentials(access_key=server.access_key, secret_key=server.secret_key)
    credentials.write_bytes(document.canonical())
    return {
        **os.environ,
        "ALCOVE_STORE_ENDPOINT": server.url,
        "ALCOVE_STORE_REGION": "us-east-1",
        "ALCOVE_STORE_BUCKET": keys.MAIN_BUCKET,
        "ALCOVE_STORE_CREDENTIALS": str(credentials),
        "ALCOVE_REQUEST": request.canonical().decode(),
        "ALCOVE_TERMINATION_LOG": str(folder / "termination"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the examples, 5 snapshots")
    parser.add_argument(
        "--metrics", action="store_true", help="the metrics alone, in seconds of processor time"
    )
    arguments = parser.parse_args()
    quick, only_metrics = arguments.quick, arguments.metrics
    shape = (10_000, 100) if quick else (100_000, 100)
    print(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(),
                      "machine": platform.machine(), "python": platform.python_version(),
                      "numpy": np.__version__, "examples × labels": shape}))  # fmt: skip
    rng = np.random.default_rng(0)
    solution = rng.random(shape) < 0.1
    prediction = rng.random(shape, dtype=np.float32)
    repeats = 3
    metrics(*shape, repeats)
    if only_metrics:
        return
    ranks(repeats)
    job(solution, prediction, 5 if quick else 50)
    live(solution, prediction, 5 if quick else 20)


if __name__ == "__main__":
    main()
