"""Collects what is written down about a run of ``make chaos``, once all has ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from minio import Minio
from minio.error import S3Error
from pydantic import TypeAdapter

from alcove_api import keys
from bench.chaos.judge import Attempt, Evidence, Prediction, Run, moment
from bench.chaos.load import BUDGET, DATASET, read_moments
from bench.chaos.shaking import Shaking, list_left, list_settling, list_usage
from bench.scale.judge import read_audit
from tests.e2e.judge import judge as compute_again

_EVIDENCE = TypeAdapter(Evidence)


def collect(shaking: Shaking, audit: Path, since: float) -> Evidence:
    """What the judge needs. Raises DemoError.

    Args:
        audit: the API server's audit log.
        since: Unix time from which it counts.
    """
    hackathon = shaking.hackathon
    store = hackathon.store("scorer")
    solution = hackathon.get("dataset", DATASET)["spec"]["solutionSha256"]
    submissions = shaking.load.list()
    usage = list_usage(hackathon)
    teams = {one["metadata"]["namespace"] for one in submissions}
    names = {f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in submissions}
    return Evidence(
        runs=[_read_run(store, one, shaking.ended, solution) for one in submissions],
        kills=[(kill.at, kill.kind, kill.pod_uid) for kill in shaking.kills],
        lasted=[(one.at, one.until, one.kind) for one in shaking.lasted],
        jobs={name: len(times) for name, times in read_audit(audit, since).run_jobs.items()},
        together=list(shaking.together),
        recoveries=shaking.recoveries,
        lost=[name for name in shaking.load.acknowledged if name not in names],
        left=list_left(hackathon),
        settling=list_settling(hackathon),
        totals={
            team: (usage.get(team, {}).get("total", 0), _count_owing(team, submissions)) for team in teams
        },
    )


def write_evidence(evidence: Evidence, file: Path) -> None:
    """As JSON, so that it can be judged again."""
    file.write_bytes(_EVIDENCE.dump_json(evidence))


def read_evidence(file: Path) -> Evidence:
    """Raises OSError, and pydantic's ValidationError where it is none."""
    return _EVIDENCE.validate_json(file.read_bytes())


def _count_owing(team: str, submissions: Iterable[Mapping[str, Any]]) -> int:
    """Submissions of a team that use up its quota: all but those that the platform failed, with no score."""
    mine = [one["status"]["runs"] for one in submissions if one["metadata"]["namespace"] == team]
    owed = [
        runs
        for runs in mine
        if all(
            run["phase"] == "Failed" and run["chargedTo"] == "Platform" and "alc" not in run for run in runs
        )
    ]
    return len(mine) - len(owed)


def _read_run(store: Minio, raw: Mapping[str, Any], ended: Mapping[str, float], solution: str) -> Run:
    meta, uid = raw["metadata"], raw["metadata"]["uid"]
    verdict = _read(store, f"runs/{uid}/{DATASET}/verdict.json")
    attempts = list(_read_attempts(store, uid))
    counted = next((a for a in attempts if verdict and a.pod_uid == verdict["pod_uid"]), None)
    again = None
    if counted is not None and counted.predictions and len(counted.predictions) == counted.records:
        found = compute_again(store, {DATASET: solution}, {"team": uid}, 1, BUDGET)
        again = found["team"].mean(DATASET)
    return Run(
        name=f"{meta['namespace']}/{meta['name']}",
        uid=uid,
        submitted_at=moment(meta["creationTimestamp"]),
        ended_at=ended.get(uid),
        status=raw.get("status") or {},
        attempts=attempts,
        verdict=verdict,
        scored=_read_score(store, uid),
        recomputed=again,
    )


def _read_score(store: Minio, uid: str) -> dict[str, Any] | None:
    found = [score for key in _list_scores(store, uid) if (score := _read(store, key)) is not None]
    return next((run for score in found for run in score["runs"]), None)


def _list_scores(store: Minio, uid: str) -> list[str]:
    """Keys of a Submission's scores; beside them there are pages, and the curve of a run that goes on."""
    listed = store.list_objects(keys.MAIN_BUCKET, prefix=f"scores/{uid}/")
    names = [str(entry.object_name) for entry in listed]
    return [name for name in names if len(Path(name).stem) == 16 and name.endswith(".json")]


def _read_attempts(store: Minio, uid: str) -> Iterable[Attempt]:
    prefix = f"runs/{uid}/{DATASET}/"
    for entry in store.list_objects(keys.MAIN_BUCKET, prefix=prefix):
        if not entry.is_dir:
            continue
        folder = str(entry.object_name)
        number, _, pod = folder.removeprefix(prefix).rstrip("/").partition("-")
        manifest = _read(store, f"{folder}manifest.json") or {}
        records = [record for record in manifest.get("records", []) if record["refused"] is None]
        yield Attempt(
            number=int(number),
            pod_uid=pod,
            go_at=moment(manifest["go_at"]) if manifest.get("go_at") else None,
            seconds=max(-1.0, (manifest.get("end") or {}).get("ended_ns", -1) / 1e9),
            records=len(records),
            predictions=tuple(
                said for record in records if (said := _read_prediction(store, folder, record)) is not None
            ),
        )


def _read_prediction(store: Minio, folder: str, record: Mapping[str, Any]) -> Prediction | None:
    """None where it is not there."""
    try:
        data = store.get_object(keys.MAIN_BUCKET, f"{folder}snap/{record['seq']:08d}.bin").read()
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise
        return None
    return Prediction(record["t_ns"] / 1e9, *read_moments(data))


def _read(store: Minio, key: str) -> dict[str, Any] | None:
    listed = [str(entry.object_name) for entry in store.list_objects(keys.MAIN_BUCKET, prefix=key)]
    if key not in listed:
        return None
    found: dict[str, Any] = json.loads(store.get_object(keys.MAIN_BUCKET, key).read())
    return found
