"""The supervisor with the real recorder, as they meet in a pod."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from alcove_api.run_documents import Manifest, RecorderReport, RunConfig

from .harness import LIMIT_S, Workshop, run_recorder, wait_until, workshop_of_pod

CONFIG = RunConfig(
    submission_uid="uid", alias="ds-1", attempt=1, data_sha256=None, code_sha256="0" * 64,
    budget_ns=2_000_000_000, n_test=2, n_labels=2,
)  # fmt: skip

WRITER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork(): time.sleep(1000)
os.setsid()
print('predicting')
for n in range(10 ** 6):
    with open(f'out/.{n}.tmp', 'w') as file: file.write('0 1\\n1 0\\n')
    os.rename(f'out/.{n}.tmp', f'out/{n}.predict')
    time.sleep(0.1)
"""


@pytest.fixture
def place(binary: Path) -> Iterator[Workshop]:
    with workshop_of_pod(binary) as shop:
        yield shop


def _manifest(shop: Workshop) -> Manifest:
    return Manifest.model_validate_json((shop.folder / "kept/runs/uid/ds-1/1-pod/manifest.json").read_text())


def test_a_run_to_its_budget(place: Workshop) -> None:
    with run_recorder(place, CONFIG):
        run = place.python(WRITER)
        assert run.wait() == 12, run.stderr
    manifest = _manifest(place)
    assert manifest.end.cause == "budget"
    assert manifest.overshoot_ns == manifest.end.ended_ns - CONFIG.budget_ns >= 0
    assert len(manifest.records) > 5
    report = RecorderReport.model_validate_json((place.folder / "report.json").read_text())
    assert report.end == manifest.end
    log = (place.folder / "kept/runs/uid/ds-1/1-pod/log.txt").read_text()
    assert log.startswith("predicting\n")


def test_a_run_over_a_killed_recorder(place: Workshop) -> None:
    """The go stands, the budget is the first one, and both processes agree on the end."""
    with run_recorder(place, CONFIG) as first:
        run = place.python(WRITER)
        _wait_for_file(place.folder / "out" / "3.predict", run.process)
        first.kill()
        first.wait(LIMIT_S)
    with run_recorder(place, CONFIG):
        assert run.wait() == 12, run.stderr
    manifest = _manifest(place)
    assert manifest.end.cause == "budget"
    assert 0 <= manifest.end.ended_ns - CONFIG.budget_ns < 10e9
    numbers = [record.name for record in manifest.records]
    assert {"0.predict", "3.predict"} <= set(numbers)


FORGER = """
import socket, time
while True:
    time.sleep(0.001)
    forged = socket.socket(socket.AF_UNIX)
    try: forged.connect('run/go.sock')
    except OSError: continue
    try:
        forged.sendall(b'resume 00\\n')
        answer = forged.recv(1)
    except OSError: answer = b''
    open('heard' if answer else 'refused', 'a').write('x')
    forged.close()
"""


def test_a_participant_that_forges_a_resume_is_not_heard(place: Workshop) -> None:
    refused = place.folder / "refused"
    with run_recorder(place, CONFIG) as first:
        run = place.python(FORGER)
        _wait_for_file(refused, run.process)
        first.kill()
        first.wait(LIMIT_S)
        before = refused.stat().st_size
    with run_recorder(place, CONFIG):
        assert run.wait() == 12, run.stderr
    assert refused.stat().st_size > before
    assert not (place.folder / "heard").exists()
    assert _manifest(place).end.cause == "budget"


def test_a_program_that_fails(place: Workshop) -> None:
    with run_recorder(place, CONFIG):
        assert place.start("/bin/sh", "-c", "echo oh dear; exit 9").wait() == 10
    end = json.loads(_manifest(place).end.model_dump_json())
    assert (end["cause"], end["code"]) == ("failed", 9)


def _wait_for_file(path: Path, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: path.exists() or process.poll() is not None)
    assert process.poll() is None
