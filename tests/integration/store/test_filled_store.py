"""A store with room for 100 MB, a team that fills it by every way that it has, and a run of another team beside it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from alcove_api import keys
from alcove_api.offers import SLOTS, slot_bytes
from alcove_api.run_documents import RunConfig, Verdict
from alcove_api.score_documents import Feedback, ScoreDataset, ScoreRequest, ScoreResult, Scoring
from alcove_api.uploads import UploadPermit
from alcove_kube.resources import SUBMISSIONS
from alcove_operator import credentials
from alcove_operator.index import Index
from alcove_operator.metrics import Metrics
from alcove_operator.offers import sign_permits
from alcove_operator.store import OperatorStore
from alcove_operator.store_room import StoreRoom
from alcove_operator.stored_objects import StoredObjects
from alcove_operator.uploads import Uploads
from alcove_store import client as store_client
from alcove_store.errors import StoreError
from alcove_store.post import send_upload
from tests.cluster.api import minio_server, seaweedfs_server
from tests.cluster.children import WITH_US
from tests.integration.recorder.harness import (
    N_LABELS,
    N_TEST,
    Recorder,
    npy,
    recorder,
    run_config,
    wait_for,
)
from tests.integration.store.conftest import REGION, SCORER, SIGNER, SetUpStore, set_up
from tests.integration.store.forms import Sender
from tests.integration.store.test_permits import submission
from tests.integration.store.test_rights import issue

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="a small file system needs root to be mounted"),
]
MAIN, MIB = keys.MAIN_BUCKET, 1 << 20
BUNDLE_BYTES, PER_DAY, SHARED_BYTES, RECORDED_BYTES, LOG_BYTES = 4 * MIB, 2, 8 * MIB, 4 * MIB, MIB
"""What the limits of the competition let red have: 8 MiB of bundles, 8 of offers, 4 of predictions, 1 of output."""
BIG_ROWS = 60_000
BUDGET_SECONDS = 3600
SENT_AGAIN = 25
"""How often each permit is used after the first time. Were it taken each time, that alone would fill the store."""
AT_ONCE = 60
"""By how many connections one permit is used at a time: what they send is more than the store has room for."""
SOLUTION = np.arange(N_TEST * N_LABELS).reshape(N_TEST, N_LABELS) % 2


def _as_npy() -> bytes:
    file = io.BytesIO()
    np.save(file, SOLUTION.astype(np.float32))
    return file.getvalue()


@contextmanager
def mounted(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of that size. What is not used takes no memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_store(kind: str, disk: Path, folder: Path) -> Iterator[SetUpStore]:
    """With its data on ``disk`` and the file of its users in ``folder``."""
    servers = {
        "minio": lambda: minio_server(lambda _: None, disk / "data", operator=SIGNER),
        "seaweedfs": lambda: seaweedfs_server(
            SIGNER, SCORER, lambda _: None, data=disk / "data", volume_mib=2
        ),
    }
    with servers[kind]() as server:
        yield set_up(server, folder)


@contextmanager
def run_of(store: SetUpStore, root: Path, run: RunConfig) -> Iterator[Recorder]:
    """A real recorder with the credentials that the operator gives it."""
    root.mkdir()
    policy = credentials.recorder_policy(run.submission_uid, run.alias, 1)
    session = credentials.session_credentials(
        store.credentials["operator"], store.server.url, REGION, policy, 3600
    )
    (root / "credentials.json").write_bytes(session.canonical())
    environment = {
        "ALCOVE_STORE_ENDPOINT": store.server.url,
        "ALCOVE_STORE_REGION": REGION,
        "ALCOVE_STORE_BUCKET": MAIN,
        "ALCOVE_STORE_CREDENTIALS": str(root / "credentials.json"),
    }

    def read(key: str) -> bytes | None:
        try:
            return store_client.get_bytes(store.root, MAIN, key)
        except StoreError:
            return None

    with recorder(root, run, environment, read) as started:
        yield started


def send_all(permit: UploadPermit, size: int) -> bool:
    """Whether the store took it."""
    try:
        send_upload(permit, io.BytesIO(os.urandom(size)), size, permit.url)
    except StoreError:
        return False
    return True


def send_again(permit: UploadPermit, size: int) -> None:
    for _ in range(SENT_AGAIN):
        send_all(permit, size)


def send_at_once(store: SetUpStore, operator: OperatorStore, stack: ExitStack) -> None:
    """All but the last byte of each form."""
    ends = datetime.now(UTC) + timedelta(hours=1)
    permit = operator.permit_upload(
        keys.team_bundle("team-a", "f" * 64), BUNDLE_BYTES, ends, store.server.url
    )
    for _ in range(AT_ONCE):
        sender = stack.enter_context(Sender(store.server))
        with suppress(OSError):  # one that is refused is closed
            sender.begin_file(permit, BUNDLE_BYTES)
            sender.send(bytes(BUNDLE_BYTES - 1))


def fill_with_bundles(store: SetUpStore, operator: OperatorStore) -> None:
    """Asks for a hundred permits, and sends by each that it gets as much as the store takes, again and again."""
    uploads = Uploads(operator, Index(), store.server.url)
    uploads.index.settle(SUBMISSIONS, "team-a", uploads.index.known(SUBMISSIONS, "team-a"), set())
    for number in range(100):
        sha256 = f"{number:064x}"
        uploads.index.apply(SUBMISSIONS, submission(f"s{number}", sha256))
        view = uploads.index.submissions["team-a", f"s{number}"]
        answer = asyncio.run(uploads.take_bundle(view, sha256, BUNDLE_BYTES, PER_DAY))
        if answer.permit is not None:
            assert not send_all(answer.permit, BUNDLE_BYTES + 1)
            assert send_all(answer.permit, BUNDLE_BYTES)
            send_again(answer.permit, BUNDLE_BYTES)


def fill_with_offers(store: SetUpStore, operator: OperatorStore) -> None:
    given = sign_permits(operator, store.server.url, "team-a", slot_bytes(SHARED_BYTES), datetime.now(UTC))
    for slot in given.slots:
        assert send_all(slot.archive, slot_bytes(SHARED_BYTES))
        assert not send_all(slot.archive, slot_bytes(SHARED_BYTES) + 1)
        send_again(slot.archive, slot_bytes(SHARED_BYTES))


def fill_with_a_run(store: SetUpStore, root: Path) -> None:
    """Saves predictions until one is refused and on, and prints as much as the supervisor passes on."""
    run = run_config(
        submission_uid="red", n_test=BIG_ROWS, n_labels=N_LABELS, max_bytes=RECORDED_BYTES, max_snapshots=100
    )
    with run_of(store, root, run) as red:
        supervisor = red.supervisor()
        supervisor.go()
        for _ in range(LOG_BYTES // 65536):
            supervisor.say("log 65536", b"x" * 65536)
        for number in range(20):
            red.save(f"{number:02}.npy", npy(0.5, (BIG_ROWS, N_LABELS)))
        supervisor.end()
        records = red.sealed().records
    assert records[-1].refused is not None, "there was more than it may have"
    assert sum(record.bytes for record in records if record.refused is None) <= RECORDED_BYTES


def score(store: SetUpStore, folder: Path, blue: Recorder, head: str | None) -> ScoreResult:
    """By the real job, with the credentials that it gets."""
    text = b"".join(b" ".join(b"%d" % value for value in row) + b"\n" for row in SOLUTION)
    sha256 = hashlib.sha256(text).hexdigest()
    store_client.put_bytes(store.root, keys.SOLUTIONS_BUCKET, keys.solution(sha256), text)
    operator = OperatorStore(store.client("operator"), MAIN)
    operator.write_verdict(
        Verdict(
            submission_uid="blue",
            alias="table",
            attempt=1,
            pod_uid="pod-1",
            phase="Done",
            cause="Finished",
            charged_to="",
            head=head,
        )
    )
    asked = ScoreRequest(
        submission_uid="blue", namespace="team-b", submission="first", competition_namespace="cup", competition="cup",
        phase="practice", budget_seconds=float(BUDGET_SECONDS), scoring=Scoring(), feedback=Feedback(mode="final"),
        datasets=(ScoreDataset(alias="table", name="table", solution_sha256=sha256, n_test=N_TEST, n_labels=N_LABELS),),
        code_sha256=None, title="", team_name="", show_output=False,
    )  # fmt: skip
    given = folder / "scorer"
    given.mkdir()
    for name, found in issue(store, asked).items():
        (given / name).write_bytes(found.canonical())
    environment = {
        "ALCOVE_STORE_ENDPOINT": store.server.url,
        "ALCOVE_STORE_REGION": REGION,
        "ALCOVE_STORE_BUCKET": MAIN,
        "ALCOVE_SOLUTIONS_BUCKET": keys.SOLUTIONS_BUCKET,
        "ALCOVE_STORE_CREDENTIALS": str(given / "credentials.json"),
        "ALCOVE_REQUEST": asked.canonical().decode(),
        "ALCOVE_TERMINATION_LOG": str(folder / "scorer-log"),
    }
    command = [*WITH_US, sys.executable, "-m", "alcove_scorer", "score"]
    subprocess.run(command, env={**os.environ, **environment}, check=True, timeout=120)
    data = store_client.get_bytes(store.root, MAIN, keys.score_result("blue", asked.scoring_digest()))
    assert blue.run.submission_uid == "blue"
    return ScoreResult.model_validate_json(data)


@pytest.fixture(params=["minio", "seaweedfs"])
def roomy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SetUpStore]:
    with (
        mounted(tmp_path / "disk", 100) as disk,
        small_store(request.param, disk, tmp_path) as store,
    ):
        yield store


def test_a_team_that_fills_all_that_it_may_stops_no_other_teams_run(
    roomy: SetUpStore, tmp_path: Path
) -> None:
    store = roomy
    operator = OperatorStore(store.client("operator"), MAIN)
    room = StoreRoom(operator, "cup", Metrics(), lambda: None)
    # However long the machine takes over what red does.
    config = run_config(submission_uid="blue", budget_ns=BUDGET_SECONDS * 1_000_000_000)
    with run_of(store, tmp_path / "blue", config) as blue, ExitStack() as stack:
        supervisor = blue.supervisor()
        supervisor.go()
        blue.save("first.npy", npy(0.1))
        send_at_once(store, operator, stack)
        asyncio.run(room.look())
        assert not room.full
        stack.close()
        fill_with_bundles(store, operator)
        fill_with_offers(store, operator)
        fill_with_a_run(store, tmp_path / "red")
        use = StoredObjects(store.client("operator"), MAIN).measure()
        assert use.of_teams["team-a"].bytes <= PER_DAY * BUNDLE_BYTES + SLOTS * slot_bytes(SHARED_BYTES)
        asyncio.run(room.look())
        assert not room.full
        blue.save("last.npy", _as_npy())
        supervisor.end()
        manifest = blue.sealed()
    assert [record.name for record in manifest.records] == ["first.npy", "last.npy"]
    (run,) = score(store, tmp_path, blue, manifest.head).runs
    assert run.final_score == 1.0
    assert run.alc is not None


@pytest.mark.parametrize("kind", ["minio", "seaweedfs"])
def test_a_full_store_loses_nothing_of_a_run_and_takes_it_all_once_there_is_room(
    kind: str, tmp_path: Path
) -> None:
    """The teams together may have more than there is: what is under way waits on its spool. Then the store's volume is
    made larger."""
    with mounted(tmp_path / "disk", 100) as small, small_store(kind, small, tmp_path) as store:
        watch_a_full_store(store, small, tmp_path)


def fill(store: SetUpStore, room: StoreRoom) -> None:
    """Where runs write, until the operator finds no room and the store none for 16 KiB."""

    def put(key: str, size: int) -> bool:
        try:
            store_client.put_bytes(store.root, MAIN, key, os.urandom(size))
        except StoreError:
            return False
        return True

    numbers = itertools.count()

    def fill_more() -> bool:
        taken = [put(f"runs/filler/{next(numbers)}", size) for size in (4 * MIB, MIB, MIB // 64)]
        asyncio.run(room.look())
        return room.full and not any(taken)

    # A store finds out by and by that a part of it is full.
    wait_for(fill_more, seconds=180, what="a store that takes no more")


def watch_a_full_store(store: SetUpStore, small: Path, tmp_path: Path) -> None:
    changes: list[bool] = []
    room = StoreRoom(
        OperatorStore(store.client("operator"), MAIN), "cup", Metrics(), lambda: changes.append(room.full)
    )
    shape = (BIG_ROWS, N_LABELS)
    run = run_config(submission_uid="blue", n_test=BIG_ROWS, n_labels=N_LABELS)
    with run_of(store, tmp_path / "blue", run) as blue:
        supervisor = blue.supervisor()
        supervisor.go()
        blue.save("before.npy", npy(0.1, shape))
        blue.wait_records(1)
        fill(store, room)
        assert room.describe()[:2] == ("False", "StoreFull")
        assert len(blue.records()) == 1, "what is there can be read"
        for number in range(5):
            blue.save(f"during-{number}.npy", npy(number / 5, shape))
        # SeaweedFS does not say that it is full: a run alone cannot tell that from a store that is away.
        what = "store_full" if store.server.kind == "minio" else "store_away"
        wait_for(lambda: getattr(blue.report(), what), seconds=120, what=f"a recorder that reports {what}")
        supervisor.say_end()
        assert not supervisor.has_answer(0.5), "nothing is sealed that is not saved"
        subprocess.run(["mount", "-o", "remount,size=400m", str(small)], check=True)
        wait_for(lambda: supervisor.has_answer(1), seconds=120, what="a run that is sealed")
        sealed = supervisor.hear()
        assert sealed is not None
        assert sealed[0] == "sealed"
        names = [record.name for record in blue.sealed().records]
        assert names == ["before.npy", *(f"during-{number}.npy" for number in range(5))]
        assert not blue.report().store_away
        asyncio.run(room.look())
    assert changes == [True, False]
    assert room.describe()[:2] == ("True", "HasRoom")
