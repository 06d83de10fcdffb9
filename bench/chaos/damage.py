"""Damages what a sound run of ``make chaos`` has left, one promise at a time: the judge must find each."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minio import Minio
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_store.client import client
from bench.chaos.evidence import list_scores
from bench.chaos.judge import Run
from bench.chaos.load import DATASET
from tests.demo.hackathon import Hackathon


@dataclass(frozen=True)
class Damage:
    """One broken promise, and what the judge must say of it."""

    promise: str
    said: str
    do: Callable[[Hackathon, Minio, Run], None]


def break_promises(hackathon: Hackathon, runs: Sequence[Run]) -> dict[str, Damage]:
    """Damages one undisturbed run for each of :data:`DAMAGES`; by the run's name. Raises DemoError, S3Error."""
    sound = [run for run in runs if run.run.get("cause") == "Finished" and run.run.get("attempt") == 1]
    store, damaged = _root_store(hackathon), {}
    for run, damage in zip(sound, DAMAGES, strict=False):
        damage.do(hackathon, store, run)
        damaged[run.name] = damage
    return damaged


def _root_store(hackathon: Hackathon) -> Minio:
    data = hackathon.get("secret", "alcove-store-root")["data"]
    user, password = (base64.b64decode(data[key]).decode() for key in ("rootUser", "rootPassword"))
    return client(hackathon.store_url(), "us-east-1", StaticProvider(user, password))


def _change(store: Minio, key: str, change: Callable[[Any], None]) -> None:
    document = json.loads(store.get_object(keys.MAIN_BUCKET, key).read())
    change(document)
    data = json.dumps(document).encode()
    store.put_object(keys.MAIN_BUCKET, key, io.BytesIO(data), len(data))


def _folder(run: Run) -> str:
    attempt = run.attempts[0]
    return f"runs/{run.uid}/{DATASET}/{attempt.number}-{attempt.pod_uid}"


def _lose_snapshot(_: Hackathon, store: Minio, run: Run) -> None:
    store.remove_object(keys.MAIN_BUCKET, f"{_folder(run)}/snap/00000003.bin")


def _stamp_early(_: Hackathon, store: Minio, run: Run) -> None:
    def change(manifest: Any) -> None:
        manifest["records"][2]["t_ns"] -= 500_000_000

    _change(store, f"{_folder(run)}/manifest.json", change)


def _name_another_attempt(_: Hackathon, store: Minio, run: Run) -> None:
    _change(store, f"runs/{run.uid}/{DATASET}/verdict.json", lambda verdict: verdict.update(attempt=2))


def _change_score(_: Hackathon, store: Minio, run: Run) -> None:
    def change(score: Any) -> None:
        score["runs"][0]["alc"] += 0.001

    for key in list_scores(store, run.uid):
        _change(store, key, change)


def _charge_participant(hackathon: Hackathon, _: Minio, run: Run) -> None:
    namespace, name = run.name.split("/")
    runs = [{**run.run, "cause": "Signalled", "chargedTo": "Participant"}]
    hackathon.kubectl(
        "patch", "submission", name, "-n", namespace, "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": {"runs": runs}}),
    )  # fmt: skip


DAMAGES = (
    Damage("no snapshot is lost", "are there", _lose_snapshot),
    Damage("no stamp is before its truth", "before it was made", _stamp_early),
    Damage("the last attempt is scored", "the verdict names 2", _name_another_attempt),
    Damage("scores are those of the recomputation", "computed again", _change_score),
    Damage("nobody pays for another's fault", "the participant pays", _charge_participant),
)
