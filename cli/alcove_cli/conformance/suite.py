"""Runs every attack at a place and judges what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from minio.error import S3Error

from alcove_api import keys
from alcove_api.run_documents import Manifest
from alcove_api.score_documents import ScoreResult
from alcove_cli.conformance import attacks_on_code, attacks_on_data, attacks_on_resources, attacks_on_time
from alcove_cli.conformance.catalogue import Attack, Case
from alcove_cli.conformance.checks import charged_to, describe_end, every
from alcove_cli.conformance.errors import SuiteError
from alcove_cli.conformance.evidence import Evidence
from alcove_cli.conformance.intrusions import INTRUSIONS, Intrusion
from alcove_cli.conformance.neighbour import beside_attacks
from alcove_cli.conformance.place import DATASET, HiddenDataset, Place, Team, make_dataset
from alcove_cli.conformance.reading import fetch_text, read_cluster, read_metrics, read_store
from alcove_cli.watch import ENDED
from alcove_kube.client import Object
from alcove_kube.resources import DATASETS, PODS, SUBMISSIONS
from alcove_operator.core.conditions import READY

READY_SECONDS, RUN_SECONDS = 180.0, 900.0
"""How long the check of the dataset, and all attacks together, may take."""
NO_IMAGE = "no image was given to hand in (--image)"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class CaseResult:
    case: Case | Intrusion
    complaint: str | None
    """What was seen where the promise was not held; None where it was."""
    seconds: float = 0.0
    figure: str = ""
    untested: str = ""
    """Why it cannot be tried here."""


def list_attacks() -> tuple[Attack, ...]:
    """Those that end soonest last, so that the slow ones go on beside them."""
    slow_first = {"disk": 0, "long": 1, "blind": 2, "attack": 3}
    found = (
        *attacks_on_time.ATTACKS,
        *attacks_on_data.ATTACKS,
        *attacks_on_resources.ATTACKS,
        *attacks_on_code.ATTACKS,
    )
    return tuple(sorted(found, key=lambda attack: slow_first[attack.phase]))


@contextmanager
def cleaning(place: Place, progress: Progress) -> Iterator[None]:
    """What the suite made is gone afterwards, however it ends."""
    place.clean()
    try:
        yield
    finally:
        progress("Cleaning up")
        place.clean()


def run_suite(
    place: Place, progress: Progress, attacks: tuple[Attack, ...] | None = None
) -> list[CaseResult]:
    """All cases in the order in which they ended; with ``attacks``, only those and no requests.

    Raises:
        SuiteError: the dataset did not become ready, or the runs did not end.
        ApiError, StoreError: the cluster or the store could not be reached.
    """
    data = make_dataset(place)
    progress("The hidden dataset is published; the operator checks it")
    wait_ready(place)
    todo = [beside_attacks(data.solution), *list_attacks()] if attacks is None else list(attacks)
    left_out = [attack for attack in todo if attack.own_image and not place.own_image]
    found = [CaseResult(case, None, untested=NO_IMAGE) for attack in left_out for case in attack.cases]
    todo = [attack for attack in todo if attack not in left_out]
    for attack in todo:
        submit_attack(place, data, attack)
    progress(f"{len(todo)} Submissions are handed in")
    found += [] if attacks is not None else list(try_intrusions(place, data, progress))
    return found + list(follow_attacks(place, data, todo, progress))


def wait_ready(place: Place) -> None:
    """Until the operator has checked the hidden dataset. Raises SuiteError where it does not become ready."""
    end = time.monotonic() + READY_SECONDS
    while True:
        found = place.kube.get(DATASETS, place.namespace, DATASET)
        ready = next(
            (c for c in found.get("status", {}).get("conditions", ()) if c["type"] == READY), {"status": ""}
        )
        if ready["status"] == "True":
            return
        if ready["status"] == "False" or time.monotonic() > end:
            raise SuiteError(
                f"The Dataset {DATASET} is not ready ({ready.get('message', 'the operator has not checked it')}), so "
                "nothing was attacked. Look at the operator's log."
            )
        time.sleep(0.5)


def team_of(place: Place, attack: Attack) -> Team:
    return place.neighbour if attack.as_neighbour else place.attacker


def submit_attack(place: Place, data: HiddenDataset, attack: Attack) -> None:
    team = team_of(place, attack)
    if attack.own_image:
        command = ["/odd", *map(str, data.solution.shape)]
        image = {"image": {"reference": place.own_image, "command": command}}
        place.submit_code(team, attack.submission, attack.phase, image)
        return
    api = place.kube.connection.configuration.host.partition("//")[2].partition(":")[0]
    store = place.publisher.endpoint.partition("//")[2].partition(":")[0]
    operators = place.kube.find_all(PODS, place.namespace, "alcove.dev/role=operator")
    pod = next((p["status"]["podIP"] for p in operators if p.get("status", {}).get("podIP")), "192.0.2.1")
    files = attack.files({"STORE_HOST": store, "API_HOST": api, "POD_HOST": pod})
    if attack.pack is not None:
        place.submit_bundle(team, attack.submission, attack.phase, attack.pack(files))
    else:
        place.submit(team, attack.submission, attack.phase, files)


def try_intrusions(place: Place, data: HiddenDataset, progress: Progress) -> Iterator[CaseResult]:
    for intrusion in INTRUSIONS:
        if intrusion.needs and not place.serves(intrusion.needs):
            yield CaseResult(
                intrusion, None, untested=f"this API server does not serve {intrusion.needs.plural}"
            )
            continue
        began = time.monotonic()
        yield CaseResult(intrusion, intrusion.act(place, data), time.monotonic() - began)
    progress(f"{len(INTRUSIONS)} requests are answered")


def follow_attacks(
    place: Place, data: HiddenDataset, attacks: list[Attack], progress: Progress
) -> Iterator[CaseResult]:
    """Judges each attack as soon as its Submission has ended."""
    began = time.monotonic()
    left = {(team_of(place, attack).namespace, attack.submission): attack for attack in attacks}
    while left:
        for namespace in {namespace for namespace, _ in left}:
            for found in place.kube.find_all(SUBMISSIONS, namespace):
                attack = left.get((namespace, found["metadata"]["name"]))
                if attack is None or found.get("status", {}).get("phase") not in ENDED:
                    continue
                del left[namespace, attack.submission]
                took = time.monotonic() - began
                evidence = gather_evidence(place, data, attack, found)
                progress(f"{attack.submission}: {describe_end(evidence)}; {len(left)} to go")
                for case in attack.cases:
                    figure = case.figure(evidence) if case.figure else ""
                    yield CaseResult(case, judge_case(attack, case, evidence), took, figure)
        if time.monotonic() - began > RUN_SECONDS:
            raise SuiteError(
                f"After {RUN_SECONDS:.0f} s these had not ended: {', '.join(name for _, name in left)}. The suite was "
                "broken off. Is the cluster short of room? kubectl get submissions -A says what they wait for."
            )
        time.sleep(0.5)


def judge_case(attack: Attack, case: Case, evidence: Evidence) -> str | None:
    """What was seen where the promise was not held, or where somebody else pays for the run."""
    return every(case.check, charged_to(attack.pays))(evidence)


def gather_evidence(place: Place, data: HiddenDataset, attack: Attack, submission: Object) -> Evidence:
    """From the store as the scorer reads it, and the status."""
    status, uid = submission.get("status", {}), submission["metadata"]["uid"]
    run = (status.get("runs") or [{}])[0]
    bucket = place.publisher.bucket
    manifest, log, result = None, "", None
    if run.get("podUid"):
        prefix = keys.attempt_prefix(uid, run["dataset"], run["attempt"], run["podUid"])
        text = fetch_text(place.scorer, bucket, keys.manifest(prefix))
        manifest = Manifest.model_validate_json(text) if text else None
        log = fetch_text(place.scorer, bucket, keys.log(prefix))
    if digest := status.get("scoringDigest"):
        text = fetch_text(place.scorer, bucket, keys.score_result(uid, digest))
        result = ScoreResult.model_validate_json(text) if text else None
    readable = read_as_team(place, uid) if attack.phase == "blind" else {}
    return Evidence(attack.submission, status, manifest, log, result, readable, data.canary)


def read_as_team(place: Place, uid: str) -> dict[str, str]:
    """All that the attacker can read anywhere: of the cluster, of the store, and of the operator's metrics."""
    namespaces = (place.namespace, place.attacker.namespace, place.neighbour.namespace)
    found = read_cluster(place.kube, place.attacker.kube, namespaces)
    bucket = place.publisher.bucket
    below = (f"runs/{uid}/", f"scores/{uid}/")
    try:
        stored = [
            (bucket, item.object_name)
            for prefix in below
            for item in place.scorer.list_objects(bucket, prefix, recursive=True)
        ]
    except S3Error as error:
        raise SuiteError(f"The scorer cannot list {bucket}: {error.code}. Run helm upgrade.") from error
    stored.append((bucket, keys.team_report(place.attacker.namespace, uid)))
    found |= read_store(place.attacker.store, stored)
    metrics = read_metrics(place.kube, place.namespace)
    return found | ({"metrics": metrics} if metrics else {})
