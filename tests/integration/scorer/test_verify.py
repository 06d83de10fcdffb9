"""A phase in a real MinIO, scored by the real job, is found whole there and in an archive; what is changed is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alcove_api import keys
from alcove_api.score_documents import ScorePages, ScoreResult
from alcove_audit.archive import PhaseExport, open_archive
from alcove_audit.audit import PhaseAudit
from alcove_audit.findings import AuditReport, Check
from alcove_audit.phase_state import PhaseState
from alcove_audit.source import StoreSource
from alcove_operator.core import boards, scoring
from alcove_operator.store import OperatorStore
from tests.unit.audit.world import World, play

from .conftest import Job, Store

pytestmark = pytest.mark.integration
IMAGE = "r.example/scorer@sha256:" + "2" * 64


def put(store: Store, key: str, data: bytes) -> None:
    store.put(key, data, keys.SOLUTIONS_BUCKET if key.startswith("solutions/") else keys.MAIN_BUCKET)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    """In the store; whatever is there when the test ends is removed."""
    played = play()
    for key, data in played.objects.items():
        put(store, key, data)
    yield played
    for bucket in (keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET):
        for entry in store.client.list_objects(bucket, recursive=True):
            store.client.remove_object(bucket, entry.object_name)


def source(store: Store) -> StoreSource:
    return StoreSource(store.client, keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET)


def audit(store: Store, state: PhaseState) -> AuditReport:
    report = AuditReport()
    PhaseAudit(source(store), state, report).check_phase()
    return report


def requests(world: World) -> Iterator[tuple[dict[str, Any], Any]]:
    """What the operator asks the score job, of each Submission that is there."""
    state = world.state
    for view in state.submission_views:
        raw = next(raw for raw in world.submissions if raw["metadata"]["uid"] == view.uid)
        yield raw, scoring.build_request(view, state.rules, state.datasets_by_alias)


def test_what_the_real_job_scores_is_found_whole_and_what_was_changed_is_named(
    world: World, store: Store, start: Any, tmp_path: Path
) -> None:
    jobs: list[Job] = []
    for raw, asked in requests(world):
        key = keys.score_result(asked.submission_uid, asked.scoring_digest())
        store.client.remove_object(keys.MAIN_BUCKET, key)
        jobs.append(start("score", asked, ALCOVE_SCORER_IMAGE=IMAGE))
        assert jobs[-1].wait() == (0, "")
        written = store.get(key)
        assert written == world.objects[key], "the same records give the same bytes"
        assert raw["status"]["scoreSha256"] == ScoreResult.model_validate_json(written or b"").digest()
        index = ScorePages.model_validate_json(store.get(keys.score_pages(asked.submission_uid)) or b"")
        assert {"report.html", "d-digits.svg", "d-news.svg"} <= {file.path for file in index.files}
        # As the operator does once the Job has ended.
        operator = OperatorStore(store.client, keys.MAIN_BUCKET)
        operator.publish_report(asked.namespace, asked.submission_uid)
        raw["status"]["pagesSha256"] = operator.digest_of_pages(asked.submission_uid)
    counted = operator.counted(*world.state.phase_path)
    assert counted is not None
    newest = boards.update_counted(
        {e.team: e for e in counted.entries}, world.state.submission_views, world.state.rules
    )
    operator.write_counted(
        *world.state.phase_path, counted.replace(entries=tuple(newest[t] for t in sorted(newest)))
    )

    assert audit(store, world.state).findings == []

    path, report = tmp_path / "practice.tar.gz", AuditReport()
    with path.open("wb") as output:
        PhaseExport(source(store), world.state, report).write(output)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    PhaseAudit(*open_archive(path, unpacked, 1 << 30, report), report).check_phase()
    assert report.findings == []
    assert report.checked[Check.SCORE]

    prediction = next(key for key in world.objects if key.endswith("/snap/00000003.bin"))
    put(store, prediction, world.objects[prediction][:-1] + b"\1")
    record = next(key for key in world.objects if key.endswith("/rec/00000001.json"))
    store.client.remove_object(keys.MAIN_BUCKET, record)
    added = f"{record.rpartition('/')[0]}/00000009.json"
    put(store, added, b"{}")
    found = {finding.key: finding.check for finding in audit(store, world.state).findings}
    assert found == {prediction: Check.PREDICTION, record: Check.RECORD, added: Check.EXTRA}


def test_the_manifest_that_the_scorer_seals_has_the_logs_digest(
    world: World, store: Store, start: Any
) -> None:
    """Of a recorder that could not seal: the audit takes what the scorer wrote in its place."""
    raw, asked = next(requests(world))
    prefix = keys.attempt_prefix(asked.submission_uid, "d-digits", 1, "pod-1")
    for key in (keys.manifest(prefix), keys.score_result(asked.submission_uid, asked.scoring_digest())):
        store.client.remove_object(keys.MAIN_BUCKET, key)
    assert start("score", asked, ALCOVE_SCORER_IMAGE=IMAGE).wait() == (0, "")
    written = store.get(keys.score_result(asked.submission_uid, asked.scoring_digest())) or b""
    raw["status"]["scoreSha256"] = hashlib.sha256(written).hexdigest()
    # A score by earlier settings, and who counts, still name what the recorder had sealed.
    assert not any(finding.key.startswith("runs/") for finding in audit(store, world.state).findings)
    put(store, keys.log(prefix), b"other\n")
    assert keys.log(prefix) in {finding.key for finding in audit(store, world.state).findings}
