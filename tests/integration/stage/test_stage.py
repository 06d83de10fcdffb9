"""Staging from a real store, by the process that the pod starts, and what it says when something is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio import Minio
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.documents import DatasetManifest, FileEntry, StoreCredentials
from alcove_api.run_documents import RunConfig
from alcove_store import client as store_client
from alcove_store.errors import StoreError
from tests.cluster.api import StoreServer, minio_server
from tests.integration.recorder.harness import wait_for

BUCKET, REGION = keys.MAIN_BUCKET, "us-east-1"


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


@dataclass(frozen=True)
class Outcome:
    status: int
    message: dict[str, str]
    output: str


def stage(
    root: Path, objects: Store, *, code: str | None, data: str | None, recorder: bool = True, **changes: str
) -> Outcome:
    """Runs the stager as a pod does. ``recorder``: whether one listens."""
    (root / "run").mkdir(parents=True)
    (root / "code").mkdir()
    (root / "supervisor").write_bytes(b"\x7fELF a supervisor")
    credentials = StoreCredentials(access_key=objects.server.access_key, secret_key=objects.server.secret_key)
    (root / "stage.json").write_text(credentials.model_dump_json())
    run = RunConfig(
        submission_uid="u", alias="a", attempt=1, data_sha256=data, code_sha256=code, budget_ns=1, n_test=1, n_labels=1,
        code_bytes_limit=1 << 20,
    )  # fmt: skip
    environment = {
        "PATH": os.environ["PATH"],
        "ALCOVE_ROOT": str(root),
        "ALCOVE_RUN": run.model_dump_json(),
        "ALCOVE_SUPERVISOR": str(root / "supervisor"),
        "ALCOVE_TERMINATION_LOG": str(root / "termination-log"),
        "ALCOVE_STORE_ENDPOINT": objects.server.url,
        "ALCOVE_STORE_REGION": REGION,
        "ALCOVE_STORE_BUCKET": BUCKET,
        "ALCOVE_STORE_CREDENTIALS": str(root / "stage.json"),
        **changes,
    }
    with socket.socket(socket.AF_UNIX) as listener:
        if recorder:
            listener.bind(str(root / "run" / "go.sock"))
        done = subprocess.run(
            [sys.executable, "-I", "-m", "alcove_stager"], env=environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    log = root / "termination-log"
    message = json.loads(log.read_text()) if log.exists() else {}
    assert "Traceback" not in done.stderr
    return Outcome(done.returncode, message, done.stdout)


def test_everything_is_put_in_place(objects: Store, tmp_path: Path) -> None:
    files = {"train/metadata.textproto": b"m", "test/sample-0": os.urandom(3 << 20), "test/sample-1": b""}
    code = objects.put_code({"model.py": b"class Model: ...", "lib/util.py": b""})
    outcome = stage(tmp_path, objects, code=code, data=objects.put_data(files))
    assert outcome.status == 0
    assert outcome.message == {}
    for path, content in files.items():
        found = tmp_path / "data" / path
        assert found.read_bytes() == content
        assert found.stat().st_mode & 0o777 == 0o444
    assert sorted(p.name for p in (tmp_path / "code").iterdir()) == ["lib", "model.py"]
    supervisor = tmp_path / "bin" / "alcove-supervisor"
    assert supervisor.read_bytes() == b"\x7fELF a supervisor"
    assert supervisor.stat().st_mode & 0o777 == 0o555


def test_a_volume_claim_and_an_image_need_only_the_supervisor(objects: Store, tmp_path: Path) -> None:
    assert stage(tmp_path, objects, code=None, data=None).status == 0
    assert (tmp_path / "bin" / "alcove-supervisor").exists()


def test_a_bad_bundle_is_the_participant_s(objects: Store, tmp_path: Path) -> None:
    outcome = stage(tmp_path, objects, code=objects.put_code({"x": b""}, tarfile.SYMTYPE), data=None)
    assert outcome.status == 3
    assert outcome.message["cause"] == "Bundle"
    assert "neither a plain file nor a folder" in outcome.message["message"]


def test_a_damaged_file_of_data_is_the_platform_s(objects: Store, tmp_path: Path) -> None:
    data = objects.put_data({"test/sample-0": b"0123456789"}, damage="test/sample-0")
    outcome = stage(tmp_path, objects, code=None, data=data)
    assert outcome.status == 4
    assert outcome.message["cause"] == "Digest"
    assert "test/sample-0" in outcome.message["message"]


@pytest.mark.parametrize("path", ["/etc/x", "../x"])
def test_a_manifest_cannot_write_outside(objects: Store, tmp_path: Path, path: str) -> None:
    outcome = stage(tmp_path / "alcove", objects, code=None, data=objects.put_data({path: b"x"}))
    assert outcome.status == 4
    assert not (tmp_path / "alcove" / "x").exists()


def test_code_that_is_not_in_the_store_is_the_platform_s(objects: Store, tmp_path: Path) -> None:
    """The operator copied it at admission: that it is gone now is nothing that a participant did."""
    outcome = stage(tmp_path, objects, code="0" * 64, data=None)
    assert (outcome.status, outcome.message["cause"]) == (4, "StoreNotFound")


def test_a_store_that_is_away_is_waited_for_and_then_said(objects: Store, tmp_path: Path) -> None:
    outcome = stage(
        tmp_path, objects, code="0" * 64, data=None,
        ALCOVE_STORE_ENDPOINT="http://127.0.0.1:9", ALCOVE_STAGE_PATIENCE="1",
    )  # fmt: skip
    assert (outcome.status, outcome.message["cause"]) == (4, "StoreUnavailable")
    assert "Trying again" in outcome.output


def test_without_a_recorder_it_does_not_let_main_start(objects: Store, tmp_path: Path) -> None:
    outcome = stage(tmp_path, objects, code=None, data=None, recorder=False, ALCOVE_STAGE_PATIENCE="0.5")
    assert outcome.status == 4
    assert "recorder" in outcome.message["message"]
