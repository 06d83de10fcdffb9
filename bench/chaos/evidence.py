"""Collects what is written down about a run of ``make chaos``, once all has ended.

What cannot be read is told in a sentence, which the judge takes for a violation: it must not cost the verdict on all
else.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from minio import Minio
from minio.error import MinioException, S3Error
from pydantic import TypeAdapter
from urllib3.exceptions import HTTPError

from alcove_api import keys
from bench.chaos.audit import Audit, read_audit
from bench.chaos.history import Attempt, Evidence, Prediction, Run, Score, moment
from bench.chaos.load import BUDGET, DATASET, PREDICTIONS, read_moments
from bench.chaos.shaking import Shaking, list_left, list_usage
from tests.demo.hackathon import DemoError
from tests.e2e.judge import judge as compute_again

_EVIDENCE = TypeAdapter(Evidence)
_WRONG = (
    AttributeError, LookupError, TypeError, ValueError, OSError, DemoError, HTTPError, MinioException,
)  # fmt: skip
"""What reading something raises that is not as it must be, or is not there."""
T = TypeVar("T")


class Reader:
    """Reads, and notes what cannot be read."""

    def __init__(self) -> None:
        self.unreadable: list[str] = []

    def read(self, what: str, how: Callable[[], T]) -> T | None:
        """None where it cannot be read."""
        try:
            return how()
        except _WRONG as error:
            self.unreadable.append(f"{what} cannot be read: {type(error).__name__}: {error}.")
            return None


def collect(shaking: Shaking, audit_log: Path, since: float) -> Evidence:
    """What the judge needs.

    Args:
        audit_log: the API server's.
        since: Unix time from which it counts.
    """
    hackathon, reader = shaking.hackathon, Reader()
    store = reader.read("The store", lambda: hackathon.store("scorer"))
    solution = reader.read("The dataset", lambda: hackathon.get("dataset", DATASET)["spec"]["solutionSha256"])
    # As they were last seen, where they cannot be listed now.
    submissions = reader.read("The list of Submissions", shaking.load.list) or shaking.there
    usage = reader.read("What the teams have used", lambda: list_usage(hackathon)) or {}
    audit = reader.read("The audit log", lambda: read_audit(audit_log, since)) or Audit()
    names = {f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in submissions}
    runs = []
    if store is not None and solution is not None:
        runs = [read_run(store, one, shaking.ended, solution, audit, reader) for one in submissions]
    happened = [(one.at, one.until, one.kind, one.applied) for one in shaking.lasted]
    return Evidence(
        runs=runs,
        kills=[(kill.at, kill.kind, kill.pod_uid) for kill in shaking.kills],
        lasted=[(at, until, kind) for at, until, kind, applied in happened if applied],
        failed=[(at, until, kind) for at, until, kind, applied in happened if not applied],
        jobs={name: len(times) for name, times in audit.jobs.items()},
        made={name: min(times) for name, times in audit.jobs.items()},
        pods=shaking.pods,
        together=list(shaking.together),
        recoveries=shaking.recoveries,
        restored=shaking.restored,
        lost=[name for name in shaking.load.acknowledged if name not in names],
        left=reader.read("What is left behind", lambda: list_left(hackathon)) or [],
        settling=[uid for used in usage.values() for uid in used.get("settling") or ()],
        usage=usage,
        unreadable=(*reader.unreadable, *audit.unreadable),
    )


def write_evidence(evidence: Evidence, file: Path) -> None:
    """As JSON, so that it can be judged again."""
    file.write_bytes(_EVIDENCE.dump_json(evidence))


def read_evidence(file: Path) -> Evidence:
    """Raises OSError, and pydantic's ValidationError where it is none."""
    return _EVIDENCE.validate_json(file.read_bytes())


def read_run(
    store: Minio,
    raw: Mapping[str, Any],
    ended: Mapping[str, float],
    solution: str,
    audit: Audit,
    reader: Reader,
) -> Run:
    """One Submission.

    Args:
        store: may read runs, scores and solutions.
        raw: the Submission, as the API server has it.
        ended: Unix time at which each was seen to have ended, by UID.
        solution: digest of the dataset's.
        audit: of the operator.
        reader: takes note of what cannot be read.
    """
    meta, uid, status = raw["metadata"], raw["metadata"]["uid"], raw.get("status") or {}
    name = f"{meta['namespace']}/{meta['name']}"
    verdict_key = f"runs/{uid}/{DATASET}/verdict.json"
    verdict, verdict_sha256 = reader.read(f"The verdict of {name}", lambda: _read(store, verdict_key)) or (
        None,
        "",
    )
    attempts = list(_read_attempts(store, uid, name, reader))
    scores = reader.read(f"The scores of {name}", lambda: list(_read_scores(store, uid))) or []
    shown = next((score.run for score in scores if score.digest == status.get("scoringDigest")), None)
    counted = next((a for a in attempts if verdict and a.pod_uid == verdict.get("pod_uid")), None)
    again = None
    if counted is not None and counted.predictions and len(counted.predictions) == counted.records:
        again = reader.read(f"What {name} reaches", lambda: _compute_again(store, uid, solution))
    return Run(
        name=name,
        uid=uid,
        submitted_at=moment(meta["creationTimestamp"]),
        ended_at=ended.get(uid),
        status=status,
        attempts=attempts,
        verdict=verdict,
        scored=shown,
        recomputed=again,
        scores=scores,
        told=audit.told.get(name, []),
        verdict_sha256=verdict_sha256,
    )


def _compute_again(store: Minio, uid: str, solution: str) -> float:
    return compute_again(store, {DATASET: solution}, {"team": uid}, 1, BUDGET)["team"].mean(DATASET)


def _read_scores(store: Minio, uid: str) -> Iterator[Score]:
    """A Submission's; beside them there are pages, and the curve of a run that goes on."""
    for entry in store.list_objects(keys.MAIN_BUCKET, prefix=f"scores/{uid}/"):
        key = Path(str(entry.object_name))
        if key.suffix != ".json" or len(key.stem) != 16:
            continue
        found, sha256 = _read(store, str(key))
        at = entry.last_modified.timestamp() if entry.last_modified else 0.0
        yield Score(key.stem, at, sha256, next(iter((found or {}).get("runs") or ()), None))


def _read_attempts(store: Minio, uid: str, name: str, reader: Reader) -> Iterator[Attempt]:
    prefix = f"runs/{uid}/{DATASET}/"
    listed = reader.read(
        f"The list of {name}'s attempts",
        lambda: list(store.list_objects(keys.MAIN_BUCKET, prefix=prefix)),
    )
    for folder in (str(entry.object_name) for entry in listed or () if entry.is_dir):
        found = reader.read(folder, partial(_read_attempt, store, prefix, folder))
        if found is not None:
            yield found


def _read_attempt(store: Minio, prefix: str, folder: str) -> Attempt:
    number, _, pod = folder.removeprefix(prefix).rstrip("/").partition("-")
    manifest = _read(store, f"{folder}manifest.json")[0] or {}
    records = [record for record in manifest.get("records", []) if record["refused"] is None]
    there = (_read_prediction(store, folder, record) for record in records)
    ended = (manifest.get("end") or {}).get("ended_ns", -1)
    return Attempt(
        number=int(number),
        pod_uid=pod,
        go_at=moment(manifest["go_at"]) if manifest.get("go_at") else None,
        seconds=ended / 1e9 if ended >= 0 else -1.0,
        records=len(records),
        predictions=tuple(said for said in there if said is not None),
    )


def _read_prediction(store: Minio, folder: str, record: Mapping[str, Any]) -> Prediction | None:
    """None where it is not there."""
    try:
        data = store.get_object(keys.MAIN_BUCKET, f"{folder}snap/{record['seq']:08d}.bin").read()
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise
        return None
    return Prediction(record["t_ns"] / 1e9, *read_moments(data), find_number(data))


def find_number(snapshot: bytes) -> int:
    """Which of its predictions a program of :func:`~bench.chaos.load.write_program` saved this as, by the noise in it.

    Raises ValueError where it is none of them.
    """
    found = np.load(io.BytesIO(snapshot), allow_pickle=False)
    for number in range(1, PREDICTIONS + 1):
        noise = np.random.default_rng(number).random(found.shape)
        # The first two rows begin with moments.
        if np.allclose(noise[2:], found[2:], atol=1e-6):
            return number
    raise ValueError("it is no prediction of the program's")


def _read(store: Minio, key: str) -> tuple[dict[str, Any] | None, str]:
    """The document, and the digest of its content in the order of its names; None and "" where there is none."""
    listed = [str(entry.object_name) for entry in store.list_objects(keys.MAIN_BUCKET, prefix=key)]
    if key not in listed:
        return None, ""
    found: dict[str, Any] = json.loads(store.get_object(keys.MAIN_BUCKET, key).read())
    ordered = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return found, hashlib.sha256(ordered.encode()).hexdigest()
