"""A real MinIO for the module, and a stand-in for the recorder that writes what the real one would."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from minio import Minio
from minio.error import S3Error

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest
from alcove_api.documents import CheckRequest, Document, StoreCredentials
from alcove_api.run_documents import End, Manifest, Record, Verdict
from alcove_api.score_documents import Feedback, ScoreDataset, ScoreRequest, Scoring
from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import LEADERBOARDS
from alcove_operator.credentials import session_credentials
from alcove_operator.job_credentials import grants_of
from tests.cluster.children import WITH_US
from tests.cluster.minio import minio_server

NANO = 10**9


@dataclass
class Store:
    """The two buckets of this module's MinIO."""

    client: Minio
    environment: dict[str, str]

    def hand_out(self, order: ScoreRequest | CheckRequest, folder: Path) -> Path:
        """What the operator would put into the Job's Secret; returns the file of the main credentials."""
        root = StoreCredentials.model_validate_json(
            Path(self.environment["ALCOVE_STORE_CREDENTIALS"]).read_bytes()
        )
        endpoint, region = self.environment["ALCOVE_STORE_ENDPOINT"], self.environment["ALCOVE_STORE_REGION"]
        folder.mkdir()
        for name, grant in grants_of(order).items():
            given = session_credentials(root, endpoint, region, grant.policy, 900)
            (folder / name).write_bytes(given.canonical())
        return folder / "credentials.json"

    def put(self, key: str, data: bytes, bucket: str = keys.MAIN_BUCKET) -> None:
        self.client.put_object(bucket, key, io.BytesIO(data), len(data))

    def get(self, key: str) -> bytes | None:
        try:
            response = self.client.get_object(keys.MAIN_BUCKET, key)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            raise
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    def json(self, key: str) -> Any:
        data = self.get(key)
        return None if data is None else json.loads(data)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with minio_server(lambda _: None) as server:
        client = Minio(
            endpoint=server.endpoint, access_key=server.access_key, secret_key=server.secret_key, secure=False
        )
        client.make_bucket(keys.MAIN_BUCKET)
        client.make_bucket(keys.SOLUTIONS_BUCKET)
        file = tmp_path_factory.mktemp("store") / "credentials.json"
        file.write_bytes(
            StoreCredentials(access_key=server.access_key, secret_key=server.secret_key).canonical()
        )
        yield Store(
            client,
            {
                "ALCOVE_STORE_ENDPOINT": server.url,
                "ALCOVE_STORE_REGION": "us-east-1",
                "ALCOVE_STORE_BUCKET": keys.MAIN_BUCKET,
                "ALCOVE_STORE_CREDENTIALS": str(file),
                "ALCOVE_SOLUTIONS_BUCKET": keys.SOLUTIONS_BUCKET,
            },
        )


@dataclass
class Job:
    """A scorer job in its own process, as in its image."""

    process: subprocess.Popen[str]
    log: Path

    def wait(self) -> tuple[int, str]:
        """Exit status and termination message."""
        status = self.process.wait(timeout=60)
        return status, self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def start(store: Store, tmp_path: Path) -> Iterator[Callable[[str, Document], Job]]:
    started: list[Job] = []

    def start_job(
        kind: str,
        request: Document,
        *,
        program: tuple[str, ...] = ("-m", "alcove_scorer"),
        sha256: str | None = "",
        **environment: str,
    ) -> Job:
        log = tmp_path / f"termination-{len(started)}"
        asked = {"ALCOVE_REQUEST": request.canonical().decode()}
        if isinstance(request, AggregateRequest):
            where = (request.competition_namespace, request.competition, request.phase, request.generation)
            asked = {
                "ALCOVE_REQUEST_KEY": keys.board_request(*where),
                "ALCOVE_LEADERBOARD": f"{request.competition_namespace}/{request.leaderboard}",
                "ALCOVE_GENERATION": str(request.generation),
            }
            store.put(asked["ALCOVE_REQUEST_KEY"], request.canonical())
            if sha256 is not None:
                ask_for_board(environment["KUBECONFIG"], request, sha256 or request.digest())
        if isinstance(request, (ScoreRequest, CheckRequest)):
            file = store.hand_out(request, tmp_path / f"credentials-{len(started)}")
            asked["ALCOVE_STORE_CREDENTIALS"] = str(file)
        job = Job(
            subprocess.Popen(
                [*WITH_US, sys.executable, *program, kind],
                env={
                    **os.environ,
                    **store.environment,
                    **asked,
                    "ALCOVE_TERMINATION_LOG": str(log),
                    **environment,
                },
                text=True,
            ),
            log,
        )
        started.append(job)
        return job

    yield start_job
    for job in started:
        job.process.kill()
        job.process.wait()


def ask_for_board(kubeconfig: str, request: AggregateRequest, sha256: str) -> None:
    """As the operator does. ``sha256``: of the request, if all is well."""
    requested = {
        "generation": request.generation, "sha256": sha256, "inputs": "i", "requestedAt": "2026-01-01T12:00:00Z",
    }  # fmt: skip
    where = (request.competition_namespace, request.leaderboard)
    with suppress(ApiError):  # a test has no such Leaderboard
        KubeClient.from_kubeconfig(kubeconfig).patch(LEADERBOARDS, *where, {"spec": {"requested": requested}})


def eventually(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """What ``condition`` gives once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def npy(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@dataclass
class Recording:
    """One attempt's records, written to the store in the recorder's order: data, then record."""

    store: Store
    uid: str
    alias: str
    attempt: int = 1
    pod_uid: str = "pod"
    records: list[Record] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        return keys.attempt_prefix(self.uid, self.alias, self.attempt, self.pod_uid)

    def snapshot(
        self, seconds: float, data: bytes | None, *, seen: float | None = None, refused: str | None = None
    ) -> None:
        seq = len(self.records)
        record = Record(
            seq=seq,
            name=f"prediction_{seq:06d}.npy",
            kind="npy",
            seen_ns=round((seconds if seen is None else seen) * NANO),
            t_ns=round(seconds * NANO),
            sha256=None if data is None else hashlib.sha256(data).hexdigest(),
            bytes=len(data or b""),
            refused=refused,
            previous=self.records[-1].digest() if self.records else None,
        )
        if data is not None:
            self.store.put(keys.snapshot(self.prefix, seq), data)
        self.store.put(keys.record(self.prefix, seq), record.canonical())
        self.records.append(record)

    def seal(self, budget: float = 30) -> None:
        manifest = Manifest(
            submission_uid=self.uid,
            alias=self.alias,
            attempt=self.attempt,
            pod_uid=self.pod_uid,
            budget_ns=round(budget * NANO),
            go_at=datetime.now(UTC),
            boot_id="boot",
            end=End(cause="finished", ended_ns=NANO),
            overshoot_ns=0,
            records=tuple(self.records),
            head=self.records[-1].digest() if self.records else None,
        )
        self.store.put(keys.manifest(self.prefix), manifest.canonical())

    def verdict(
        self,
        phase: str = "Done",
        cause: str = "Finished",
        *,
        scored: bool = True,
        head: str | None = None,
        points_shown_before: int = 0,
    ) -> None:
        now = datetime.now(UTC)
        verdict = Verdict(
            submission_uid=self.uid,
            alias=self.alias,
            attempt=self.attempt if scored else None,
            pod_uid=self.pod_uid if scored else None,
            phase="Done" if phase == "Done" else "Failed",
            cause=cause,
            head=head,
            charged_to="",
            queued_at=now,
            created_at=now,
            started_at=now,
            ended_at=now,
            points_shown_before=points_shown_before,
        )
        self.store.put(keys.verdict(self.uid, self.alias), verdict.canonical())


SOLUTION = np.random.default_rng(5).random((40, 3)) < 0.4


def prediction(correct: float) -> bytes:
    """Right on about that share of the cells."""
    wrong = np.random.default_rng(6).random(SOLUTION.shape) > correct
    return npy((SOLUTION ^ wrong).astype(np.float32))


@pytest.fixture
def request_for(store: Store) -> Callable[..., ScoreRequest]:
    text = b"".join(b" ".join(b"1" if v else b"0" for v in row) + b"\n" for row in SOLUTION)
    sha256 = hashlib.sha256(text).hexdigest()
    store.put(keys.solution(sha256), text, keys.SOLUTIONS_BUCKET)

    def make(*aliases: str, feedback: Feedback | None = None, **changes: Any) -> ScoreRequest:
        return ScoreRequest(
            submission_uid=str(uuid.uuid4()),
            namespace="team-a",
            submission="first",
            competition="hackathon",
            phase="practice",
            budget_seconds=30,
            scoring=changes.pop("scoring", Scoring()),
            feedback=feedback or Feedback(),
            datasets=tuple(
                ScoreDataset(
                    alias=alias, name=f"secret-{alias}", solution_sha256=sha256, n_test=40, n_labels=3
                )
                for alias in aliases
            ),
        )

    return make
