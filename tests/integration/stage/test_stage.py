"""Staging from a real store, by the process that the pod starts, and what it says when something is wrong."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio import Minio
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.documents import DatasetManifest, FileEntry, StoreCredentials
from alcove_api.run_documents import StagingReport
from alcove_store import client as store_client
from alcove_store.errors import StoreError
from tests.cluster.api import StoreServer, minio_server
from tests.integration.recorder.harness import Recorder, Supervisor, recorder, run_config, wait_for

BUCKET, REGION = keys.MAIN_BUCKET, "us-east-1"
AWAY = "http://127.0.0.1:9"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Store:
    server: StoreServer
    client: Minio

    def put_code(self, files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> str:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.type, entry.linkname = len(data), kind, "/etc/passwd"
                archive.addfile(entry, io.BytesIO(data))
        store_client.put_bytes(self.client, BUCKET, keys.code(sha256(raw.getvalue())), raw.getvalue())
        return sha256(raw.getvalue())

    def put_data(self, files: dict[str, bytes], damage: str | None = None) -> str:
        entries = tuple(FileEntry(path=p, bytes=len(d), sha256=sha256(d)) for p, d in files.items())
        manifest = DatasetManifest(
            name="t", domain="tabular", n_train=1, n_test=1, n_labels=1, labels=("a",), files=entries
        )
        digest = manifest.digest()
        store_client.put_bytes(self.client, BUCKET, keys.dataset_manifest(digest), manifest.canonical())
        for path, data in files.items():
            if not path.startswith("/") and ".." not in path:
                stored = data[:-1] + b"!" if path == damage else data
                store_client.put_bytes(self.client, BUCKET, keys.dataset_file(digest, path), stored)
        return digest


@pytest.fixture(scope="module")
def objects() -> Iterator[Store]:
    with minio_server(lambda _: None) as server:
        provider = StaticProvider(server.access_key, server.secret_key)
        client = store_client.client(server.url, REGION, provider)

        def made() -> bool:
            try:
                with store_client.store_errors("making the bucket"):
                    client.make_bucket(BUCKET)
            except StoreError:
                return False
            return True

        wait_for(made, what="MinIO")
        yield Store(server, client)


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a store that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@dataclass(frozen=True)
class Outcome:
    """What the recorder answered to the go: ``started`` or ``unstaged``; and what it reports."""

    answer: str
    report: StagingReport
    error: str | None
    status: int | None
    """Of the recorder, which ends with a supervisor that starts nothing; None where it goes on."""


Start = Callable[..., Recorder]


@pytest.fixture
def start(objects: Store, tmp_path: Path) -> Iterator[Start]:
    """Starts a recorder that stages, as a pod does."""

    def begin(code: str | None = None, data: str | None = None, **changes: str) -> Recorder:
        credentials = StoreCredentials(
            access_key=objects.server.access_key, secret_key=objects.server.secret_key
        )
        for name in ("stage", "recorder"):
            (tmp_path / f"{name}.json").write_text(credentials.model_dump_json())
        environment = {
            "ALCOVE_STORE_ENDPOINT": objects.server.url,
            "ALCOVE_STORE_REGION": REGION,
            "ALCOVE_STORE_BUCKET": BUCKET,
            "ALCOVE_STORE_CREDENTIALS": str(tmp_path / "recorder.json"),
            "ALCOVE_STAGE_CREDENTIALS": str(tmp_path / "stage.json"),
            **changes,
        }
        run = run_config(data_sha256=data, code_sha256=code, code_bytes_limit=1 << 20)
        return stack.enter_context(recorder(tmp_path, run, environment, lambda _: None))

    with ExitStack() as stack:
        yield begin


def answer_of(supervisor: Supervisor) -> str:
    """Its first line that says more than that staging goes on."""
    while (words := supervisor.hear()) == ["staging"]:
        pass
    assert words is not None
    return words[0]


def outcome_of(it: Recorder) -> Outcome:
    supervisor = it.supervisor()
    supervisor.say_hello()
    supervisor.say("go")
    answer = answer_of(supervisor)
    supervisor.close()
    it.supervisors.clear()
    status = it.wait_end() if answer == "unstaged" else None
    report = it.report()
    assert report.staging is not None
    assert (report.go_at is None) == (answer == "unstaged")
    assert "Traceback" not in it.log_text()
    return Outcome(answer, report.staging, report.error, status)


def test_everything_is_in_place_before_the_supervisor_may_begin(objects: Store, start: Start) -> None:
    files = {"train/metadata.textproto": b"m", "test/sample-0": os.urandom(3 << 20), "test/sample-1": b""}
    code = objects.put_code({"model.py": b"class Model: ...", "lib/util.py": b""})
    it = start(code, objects.put_data(files))
    outcome = outcome_of(it)
    assert (outcome.answer, outcome.report.failed, outcome.error) == ("started", "", None)
    assert outcome.report.ended_at is not None
    assert outcome.report.ended_at >= outcome.report.began_at
    for path, content in files.items():
        found = it.root / "data" / path
        assert found.read_bytes() == content
        assert found.stat().st_mode & 0o777 == 0o444
    assert sorted(p.name for p in (it.root / "code").iterdir()) == ["lib", "model.py"]


def test_for_a_volume_claim_and_an_image_nothing_is_staged(start: Start) -> None:
    assert outcome_of(start(ALCOVE_STORE_ENDPOINT=AWAY)).answer == "started"


def test_a_bad_bundle_is_the_participant_s(objects: Store, start: Start) -> None:
    outcome = outcome_of(start(objects.put_code({"x": b""}, tarfile.SYMTYPE)))
    assert (outcome.answer, outcome.report.failed, outcome.status) == ("unstaged", "BadBundle", 3)
    assert outcome.error is not None
    assert "neither a plain file nor a folder" in outcome.error


def test_a_bundle_that_is_too_large_unpacked_is_the_participant_s(objects: Store, start: Start) -> None:
    outcome = outcome_of(start(objects.put_code({"x": bytes(2 << 20)})))
    assert (outcome.answer, outcome.report.failed) == ("unstaged", "BadBundle")


def test_a_damaged_file_of_data_is_the_platform_s(objects: Store, start: Start) -> None:
    data = objects.put_data({"test/sample-0": b"0123456789"}, damage="test/sample-0")
    outcome = outcome_of(start(data=data))
    assert (outcome.answer, outcome.report.failed, outcome.status) == ("unstaged", "StagingFault", 3)
    assert outcome.error is not None
    assert "test/sample-0" in outcome.error


@pytest.mark.parametrize("path", ["/etc/x", "../x"])
def test_a_manifest_cannot_write_outside(objects: Store, start: Start, path: str) -> None:
    it = start(data=objects.put_data({path: b"x"}))
    assert outcome_of(it).report.failed == "StagingFault"
    assert not (it.root / "x").exists()


def test_code_that_is_not_in_the_store_is_the_platform_s(start: Start) -> None:
    """The operator copied it at admission: that it is gone now is nothing that a participant did."""
    outcome = outcome_of(start("0" * 64))
    assert outcome.report.failed == "StagingFault"
    assert (outcome.error or "").startswith("StoreNotFound")


def test_a_store_that_is_away_is_waited_for_and_then_said(start: Start) -> None:
    it = start("0" * 64, ALCOVE_STORE_ENDPOINT=AWAY, ALCOVE_STAGE_PATIENCE="1")
    outcome = outcome_of(it)
    assert outcome.report.failed == "StagingFault"
    assert (outcome.error or "").startswith("StoreUnavailable")
    assert "Trying again" in it.log_text()


def test_whoever_waits_hears_that_it_goes_on(start: Start, silent: str) -> None:
    supervisor = start("0" * 64, ALCOVE_STORE_ENDPOINT=silent).supervisor()
    supervisor.say_hello()
    supervisor.say("go")
    assert [supervisor.hear() for _ in range(2)] == [["staging"]] * 2


@pytest.mark.parametrize(("seconds", "age"), [("1", 0), ("900", 1000)])
def test_it_may_take_until_its_run_should_have_started(
    start: Start, silent: str, seconds: str, age: int
) -> None:
    """Counted from when the node took the pod and made its volumes, and not from when the recorder was pulled."""
    it = start("0" * 64, ALCOVE_STORE_ENDPOINT=silent, ALCOVE_START_SECONDS=seconds)
    if age:
        it.kill()
        made = it.out.stat().st_mtime - age
        os.utime(it.out, (made, made))
        it.start()
    outcome = outcome_of(it)
    assert (outcome.answer, outcome.report.failed) == ("unstaged", "StagingFault")


def test_a_restart_while_it_stages_begins_anew(objects: Store, start: Start, silent: str) -> None:
    files = {"test/sample-0": b"whole"}
    it = start(
        objects.put_code({"model.py": b"whole"}), objects.put_data(files), ALCOVE_STORE_ENDPOINT=silent
    )
    wait_for(lambda: it.log_text().count('"staging"'), what="staging")
    it.kill()
    for name, left in (("code", "model.py"), ("code", "lib/left.py"), ("data", "test/sample-0")):
        path = it.root / name / left
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
        path.chmod(0o444)
    it.environment["ALCOVE_STORE_ENDPOINT"] = objects.server.url
    it.start()
    assert outcome_of(it).answer == "started"
    assert (it.root / "data" / "test" / "sample-0").read_bytes() == b"whole"
    assert [path.name for path in (it.root / "code").iterdir()] == ["model.py"]
    assert (it.root / "code" / "model.py").read_bytes() == b"whole"


def test_what_is_staged_is_not_staged_again(objects: Store, start: Start) -> None:
    it = start(objects.put_code({"model.py": b"whole"}))
    wait_for(lambda: '"staged"' in it.log_text(), what="its end")
    it.kill()
    it.environment["ALCOVE_STORE_ENDPOINT"] = AWAY
    it.start()
    assert outcome_of(it).answer == "started"


def test_a_restart_does_not_forget_that_it_failed(objects: Store, start: Start) -> None:
    it = start(objects.put_code({"x": b""}, tarfile.SYMTYPE))
    wait_for(lambda: "not-staged" in it.log_text(), what="its end")
    it.kill()
    it.start()
    assert outcome_of(it).report.failed == "BadBundle"


def test_a_pod_that_is_deleted_while_it_stages_ends_at_once(start: Start, silent: str) -> None:
    it = start("0" * 64, ALCOVE_STORE_ENDPOINT=silent, ALCOVE_STOP_SECONDS="0.2")
    supervisor = it.supervisor()
    supervisor.say_hello()
    supervisor.say("go")
    assert supervisor.hear() == ["staging"]
    assert it.stop() == 1
    report = it.report()
    assert report.go_at is None
    assert report.staging is not None
    assert report.staging.ended_at is None
