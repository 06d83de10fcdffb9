"""What is recorded survives the store being away and the recorder being killed; stamps never get earlier."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from minio import Minio as SdkClient
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_operator.credentials import recorder_policy, session_credentials
from alcove_store import client as store_client
from alcove_store.errors import StoreError, StoreNotFoundError
from tests.cluster.binaries import binaries
from tests.cluster.children import WITH_US
from tests.cluster.stores import free_port
from tests.cluster.versions import binary_path

from .conftest import Start
from .harness import SECOND, Ready, Recorder, npy, recorder, run_config, wait_for

REGION = "us-east-1"


class Minio:
    """A MinIO that a test can take away and bring back, with the same address and data."""

    def __init__(self, folder: Path) -> None:
        binaries(["minio"], lambda _: None)
        self._folder = folder
        self._port, self._console = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        self.root = StoreCredentials(access_key="recorder-test", secret_key="recorder-test-secret")

    def start(self) -> None:
        argv = [*WITH_US, str(binary_path("minio")), "server", str(self._folder / "data"), "--quiet"]
        argv += ["--address", f"127.0.0.1:{self._port}", "--console-address", f"127.0.0.1:{self._console}"]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self._folder), "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
            "MINIO_ROOT_USER": self.root.access_key, "MINIO_ROOT_PASSWORD": self.root.secret_key,
        }  # fmt: skip
        with (self._folder / "minio.log").open("ab") as output:
            self._process = subprocess.Popen(argv, env=environment, stdout=output, stderr=output)
        wait_for(self._answers, seconds=30, what="MinIO")

    def client(self) -> SdkClient:
        return store_client.client(
            self.url, REGION, StaticProvider(self.root.access_key, self.root.secret_key)
        )

    def _answers(self) -> bool:
        """A server says that it is ready before it knows its users."""
        try:
            with store_client.store_errors("a look"):
                self.client().list_buckets()
            session_credentials(self.root, self.url, REGION, recorder_policy("u", "a", 1), 900)
        except StoreError:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def read(self, key: str) -> bytes | None:
        try:
            return store_client.get_bytes(self.client(), keys.MAIN_BUCKET, key)
        except StoreNotFoundError:
            return None


@pytest.fixture
def minio(tmp_path: Path) -> Iterator[Minio]:
    (tmp_path / "minio").mkdir()
    server = Minio(tmp_path / "minio")
    server.start()
    server.client().make_bucket(keys.MAIN_BUCKET)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def store_recorder(minio: Minio, root: Path) -> Iterator[Recorder]:
    """A recorder with put-only credentials of its run, as in a pod."""
    run = run_config()
    policy = recorder_policy(run.submission_uid, run.alias, run.attempt)
    root.mkdir()
    session = session_credentials(minio.root, minio.url, REGION, policy, 900)
    (root / "recorder.json").write_text(session.model_dump_json())
    environment = {
        "ALCOVE_STORE_ENDPOINT": minio.url,
        "ALCOVE_STORE_REGION": REGION,
        "ALCOVE_STORE_BUCKET": keys.MAIN_BUCKET,
        "ALCOVE_STORE_CREDENTIALS": str(root / "recorder.json"),
    }
    with recorder(root, run, environment, minio.read) as it:
        yield it


def taken(recorder: Recorder) -> list[str]:
    return (recorder.root / "spool" / "taken.jsonl").read_text().splitlines()


def wait_taken(recorder: Recorder, count: int) -> None:
    wait_for(lambda: len(taken(recorder)) == count, what=f"{count} files taken")


def test_put_only_credentials_are_enough(minio: Minio, tmp_path: Path) -> None:
    with store_recorder(minio, tmp_path / "alcove") as recorder:
        supervisor = recorder.supervisor()
        supervisor.go()
        recorder.save("a.npy", npy())
        recorder.wait_records(1)
        assert recorder.process is not None
        assert (
            len(os.listdir(f"/proc/{recorder.process.pid}/task")) == 2
        )  # the store's SDK made none of its own
        supervisor.end()
        assert len(recorder.sealed().records) == 1
        assert recorder.stop() == 0


def test_a_store_that_goes_away_and_comes_back_loses_nothing(minio: Minio, tmp_path: Path) -> None:
    with store_recorder(minio, tmp_path / "alcove") as recorder:
        supervisor = recorder.supervisor()
        supervisor.go()
        recorder.save("before.npy", npy(0.1))
        recorder.wait_records(1)
        minio.stop()
        for index in range(5):
            recorder.save(f"during-{index}.npy", npy(index / 10))
            wait_taken(recorder, index + 2)
        wait_for(lambda: recorder.report().error, what="a report that says the store is away")
        stamps = [line.split('"t_ns": ')[1].split(",")[0] for line in taken(recorder)]
        minio.start()
        recorder.wait_records(6)
        recorder.save("after.npy", npy(0.2))
        supervisor.end()
        records = recorder.sealed().records
        assert [r.name for r in records] == [
            "before.npy",
            *(f"during-{i}.npy" for i in range(5)),
            "after.npy",
        ]
        assert [str(r.t_ns) for r in records[:6]] == stamps
        assert recorder.report().error is None


def test_the_seal_waits_for_the_store(minio: Minio, tmp_path: Path) -> None:
    with store_recorder(minio, tmp_path / "alcove") as recorder:
        supervisor = recorder.supervisor()
        supervisor.go()
        minio.stop()
        recorder.save("a.npy", npy())
        supervisor.say_end()
        assert not supervisor.has_answer(1.0)
        minio.start()
        sealed = supervisor.hear()
        assert sealed is not None
        assert sealed == ["sealed", recorder.sealed().digest()]
        assert not recorder.report().store_away


def test_without_a_store_it_stops_in_time_and_says_why(start: Start, tmp_path: Path) -> None:
    in_the_way = tmp_path / "store"
    in_the_way.write_text("a file where the folder should be")
    recorder = start({"ALCOVE_STOP_SECONDS": "1"})
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy())
    wait_for(lambda: recorder.report().error)
    assert recorder.stop(seconds=5) == 1
    report = recorder.report()
    assert report.manifest_sha256 is None
    assert report.error is not None
    assert "store" in report.error
    assert report.store_away


def test_a_full_store_is_told_from_one_that_is_away(start: Start, tmp_path: Path) -> None:
    recorder = start({"ALCOVE_STOP_SECONDS": "1"})
    supervisor = recorder.supervisor()
    supervisor.go()
    # What the recorder writes before it renames it: every write there finds no room.
    temporary = tmp_path / "store" / recorder.prefix / "snap" / ".00000000.bin.tmp"
    temporary.parent.mkdir(parents=True)
    temporary.symlink_to("/dev/full")
    recorder.save("a.npy", npy())
    wait_for(lambda: recorder.report().store_full)
    assert recorder.stop(seconds=5) == 1
    report = recorder.report()
    assert report.store_away
    assert report.store_full


def test_a_killed_recorder_goes_on_with_the_same_run(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    t0 = supervisor.go()
    recorder.save("before.npy", npy(0.1))
    [before] = recorder.wait_records(1)
    recorder.kill()
    recorder.save("meanwhile.npy", npy(0.2))
    back = time.monotonic_ns() - t0
    recorder.start()
    again, ready = recorder.resume()
    assert ready == Ready(60 * SECOND, True, supervisor.token, t0)
    recorder.wait_records(2)
    recorder.save("after.npy", npy(0.3))
    again.end()
    records = recorder.sealed().records
    assert [r.name for r in records] == ["before.npy", "meanwhile.npy", "after.npy"]
    assert records[0] == before
    assert records[1].seen_ns >= back


def test_killed_with_uploads_pending_it_uploads_them_unchanged(minio: Minio, tmp_path: Path) -> None:
    with store_recorder(minio, tmp_path / "alcove") as recorder:
        supervisor = recorder.supervisor()
        supervisor.go()
        recorder.save("a.npy", npy(0.1))
        recorder.wait_records(1)
        minio.stop()
        recorder.save("b.npy", npy(0.2))
        recorder.save("c.npy", b"not a prediction")
        wait_taken(recorder, 3)
        lines = taken(recorder)
        recorder.kill()
        recorder.start()
        again, _ = recorder.resume()
        minio.start()
        again.end()
        records = recorder.sealed().records
        assert [r.name for r in records] == ["a.npy", "b.npy", "c.npy"]
        assert [r.refused is None for r in records] == [True, True, False]
        for record, line in zip(records, lines, strict=True):
            assert f'"t_ns": {record.t_ns},' in line


def test_killed_at_any_moment_the_chain_holds(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    t0 = supervisor.go()
    for kill in range(5):
        for index in range(20):
            recorder.save(f"{kill}-{index}.npy", npy(index / 20))
        recorder.kill()
        recorder.start()
    again, ready = recorder.resume()
    assert ready.t0_ns == t0
    again.end()
    records = recorder.sealed().records
    assert {r.name for r in records} == {f"{kill}-{index}.npy" for kill in range(5) for index in range(20)}
    assert all(r.refused is None for r in records)
    assert [r.t_ns for r in records] == sorted(r.t_ns for r in records)


def test_killed_until_after_the_budget_it_takes_what_was_saved_in_time(start: Start) -> None:
    recorder = start(budget_ns=SECOND)
    t0 = recorder.supervisor().go()
    recorder.kill()
    recorder.save("last.npy", npy(1))
    ended = time.monotonic_ns()
    assert ended - t0 < SECOND, "this machine is too slow for this test"
    wait_for(lambda: time.monotonic_ns() - t0 > SECOND, what="the end of the budget")
    recorder.start()
    again, _ = recorder.resume()
    again.end(ended_ns=ended)
    (record,) = recorder.sealed().records
    assert record.seen_ns == ended - t0
    assert record.t_ns > SECOND


def test_killed_after_the_end_it_seals_the_same_manifest(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy())
    first = supervisor.end("failed", code=3)
    recorder.kill()
    recorder.start()
    again, _ = recorder.resume()
    assert not again.has_answer(
        0.5
    )  # a supervisor that has not said "end" on this line takes "sealed" for nonsense
    assert again.end("finished") == first
    assert recorder.sealed().end.code == 3
    assert recorder.stop() == 0


def test_a_torn_line_in_a_journal_is_dropped(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy(0.1))
    recorder.wait_records(1)
    recorder.kill()
    for name in ("taken.jsonl", "records.jsonl"):
        with (recorder.root / "spool" / name).open("ab") as file:
            file.write(b'{"seq": 1, "na')
    recorder.start()
    again, _ = recorder.resume()
    recorder.save("b.npy", npy(0.2))
    again.end()
    assert [r.name for r in recorder.sealed().records] == ["a.npy", "b.npy"]


def test_after_a_reboot_the_old_clock_is_not_read(start: Start) -> None:
    recorder = start()
    supervisor = recorder.supervisor()
    supervisor.go()
    recorder.save("a.npy", npy())
    recorder.wait_records(1)
    recorder.kill()
    state = recorder.root / "run" / "state.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    state.write_text(state.read_text().replace(boot, "another-boot"))
    recorder.save("b.npy", npy())
    recorder.start()
    wait_for(lambda: recorder.store(keys.manifest(recorder.prefix)), what="the manifest")
    manifest = recorder.sealed()
    assert [r.name for r in manifest.records] == ["a.npy"]
    assert manifest.end.cause == "unknown"
    assert manifest.boot_id == "another-boot"


def test_idle_it_takes_less_than_a_hundredth_of_a_core(start: Start) -> None:
    recorder = start()
    recorder.supervisor().go()
    assert recorder.cpu_share(seconds=5) <= 0.01


def test_a_crash_of_its_own_is_reported_and_gone_on_from(start: Start) -> None:
    """A limit on file sizes stands for a full volume: the journal cannot be written any more."""
    recorder = start()
    recorder.supervisor().go()
    assert recorder.process is not None
    resource.prlimit(recorder.process.pid, resource.RLIMIT_FSIZE, (4096, 4096))
    for index in range(20):
        recorder.save(f"{index:0>200}.npy", npy())
    assert recorder.process.wait(20) == 1
    assert recorder.report().error
    assert recorder.report().go_at is not None
    recorder.start()
    again, _ = recorder.resume()
    again.end()
    assert sorted(r.name for r in recorder.sealed().records) == [f"{index:0>200}.npy" for index in range(20)]


def test_a_spool_that_cannot_be_used_is_a_sentence(start: Start) -> None:
    recorder = start()
    recorder.supervisor().go()
    recorder.kill()
    journal = recorder.root / "spool" / "taken.jsonl"
    journal.unlink()
    journal.mkdir()
    recorder.start()
    assert recorder.process is not None
    assert recorder.process.wait(20) == 2
    assert "cannot be used" in recorder.log_text()
    assert "Traceback" not in recorder.log_text()


def test_the_report_fits_a_termination_message_whatever_went_wrong(start: Start, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    recorder = start({"ALCOVE_STORE_ENDPOINT": (tmp_path / "store" / ("\x01" * 1000)).as_uri()})
    recorder.supervisor().go()
    recorder.save("a.npy", npy())
    wait_for(lambda: recorder.report().error, what="a report of the trouble")
    assert (recorder.root / "termination-log").stat().st_size <= 4096


def find_child(recorder: Recorder) -> int:
    """The process that records, of a recorder that is started as in a pod."""
    assert recorder.process is not None
    parent = recorder.process.pid
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return int(wait_for(lambda: listed.read_text().split(), what="a child")[0])


def test_one_that_is_killed_is_back_at_once_and_says_so(minio: Minio, tmp_path: Path) -> None:
    with store_recorder(minio, tmp_path / "run") as recorder:
        recorder.kill()
        recorder.program = ["-m", "alcove_recorder"]
        recorder.start()
        first = recorder.supervisor()
        t0_ns = first.go()
        recorder.save("a.npy", npy())
        wait_taken(recorder, 1)
        killed = find_child(recorder)
        os.kill(killed, signal.SIGKILL)
        assert first.hear() is None
        wait_for(lambda: find_child(recorder) != killed, what="another child")
        again, ready = recorder.resume()
        assert ready.t0_ns == t0_ns
        recorder.save("b.npy", npy())
        again.end()
        again.close()
        assert recorder.wait_end() == 0
        assert len(recorder.sealed().records) == 2
        assert recorder.report().restarts == 1


def test_one_whose_supervisor_is_gone_ends_by_itself(minio: Minio, tmp_path: Path) -> None:
    """No kubelet ends it: what was recorded is sealed."""
    with store_recorder(minio, tmp_path / "run") as recorder:
        supervisor = recorder.supervisor()
        supervisor.go()
        recorder.save("a.npy", npy())
        wait_taken(recorder, 1)
        supervisor.close()
        assert recorder.wait_end() == 0
        manifest = recorder.sealed()
        assert (len(manifest.records), manifest.end.cause) == (1, "recorder-saw-eof")


def test_one_whose_supervisor_ended_before_the_go_ends_by_itself(minio: Minio, tmp_path: Path) -> None:
    with store_recorder(minio, tmp_path / "run") as recorder:
        supervisor = recorder.supervisor()
        supervisor.say_hello()
        supervisor.close()
        recorder.wait_end()
        assert recorder.report().go_at is None


def test_one_that_is_stopped_with_its_supervisor_hears_how_the_run_ended(
    minio: Minio, tmp_path: Path
) -> None:
    """The kubelet tells all containers of a pod at once."""
    with store_recorder(minio, tmp_path / "run") as recorder:
        supervisor = recorder.supervisor()
        supervisor.go()
        assert recorder.process is not None
        recorder.process.terminate()
        recorder.save("a.npy", npy())
        wait_taken(recorder, 1)
        supervisor.end("signalled")
        supervisor.close()
        assert recorder.wait_end() == 0
        assert recorder.sealed().end.cause == "signalled"
