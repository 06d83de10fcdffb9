"""A submission's way through the operator, on a real API server and a real store."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import signal
import urllib.request
from functools import partial
from typing import Any

import pytest
from minio import Minio
from minio.credentials import StaticProvider
from minio.error import S3Error

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest
from alcove_api.competition import Limits
from alcove_api.documents import CheckResult
from alcove_api.offers import ENTRY_BYTES, OFFERS_SECRET, PERMITS_KEY, SLOTS, OfferPermits, slot_bytes
from alcove_api.run_documents import End, RunConfig, Verdict
from alcove_api.score_documents import SCORER_VERSION, ScoredRun, ScoreRequest, ScoreResult, Scoring
from alcove_api.uploads import UploadPermit
from alcove_kube.errors import ApiError
from alcove_kube.resources import (
    DATASETS,
    JOBS,
    LEADERBOARDS,
    PODS,
    SECRETS,
    SUBMISSIONS,
    TEAM_USAGES,
)
from alcove_store.pack import pack_files
from alcove_store.post import send_upload
from tests.integration.operator_wiring.world import (
    BLUE,
    GOLD,
    GREEN,
    GREY,
    RED,
    World,
    now,
    ready,
    secret_file,
    wait_for,
)

pytestmark = pytest.mark.integration
ROWS = 100
"""Of a board in its Leaderboard."""
FINISHED = End(cause="finished", ended_ns=5_000_000_000)
OVER_BUDGET = End(cause="budget", ended_ns=20_001_600_000)


def root_store(world: World) -> Minio:
    credentials = StaticProvider(world.minio.access_key, world.minio.secret_key)
    return Minio(endpoint=world.minio.endpoint, credentials=credentials, secure=False, region="us-east-1")


def environment(job: dict[str, Any], container: str) -> dict[str, str]:
    spec = job["spec"]["template"]["spec"]
    found = next(c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == container)
    return {e["name"]: e.get("value", "") for e in found["env"]}


def run_status(world: World, name: str, team: str) -> dict[str, Any]:
    return dict((world.submission_status(name, team).get("runs") or [{}])[0])


def jobs_of(world: World, uid: str) -> list[dict[str, Any]]:
    return [j for j in world.list(JOBS) if j["metadata"]["labels"].get("alcove.dev/submission-uid") == uid]


def is_named(beginning: str, job: dict[str, Any]) -> bool:
    return str(job["metadata"]["name"]).startswith(beginning)


def score(world: World, job: dict[str, Any], alc: float) -> None:
    """What the scorer would leave, and its end."""
    request = ScoreRequest.model_validate_json(environment(job, "score")["ALCOVE_REQUEST"])
    digest = request.scoring_digest()
    runs = tuple(
        ScoredRun(
            alias=dataset.alias,
            dataset=dataset.name,
            attempt=1,
            cause="DeadlineReached",
            alc=alc,
            final_score=alc,
            snapshots=3,
            points=(),
            refused=(),
            manifest_sha256=None,
        )
        for dataset in request.datasets
    )
    result = ScoreResult(
        submission_uid=request.submission_uid,
        scorer_version=SCORER_VERSION,
        scoring_digest=digest,
        scoring=Scoring(),
        t0_seconds=1.0,
        budget_seconds=20.0,
        runs=runs,
    )
    # What an older operator can read as well: it refuses fields that it does not know.
    data = result.model_dump_json(exclude_unset=True).encode()
    key = keys.score_result(request.submission_uid, digest)
    root_store(world).put_object(keys.MAIN_BUCKET, key, io.BytesIO(data), len(data))
    try:
        world.finish(job)
    except ApiError as error:
        # The operator looks for the result while a team waits, and may have deleted the Job by now.
        if not error.not_found:
            raise


def put_table(world: World, request: AggregateRequest) -> None:
    """The whole board, of which the Leaderboard has the first rows."""
    rows = [
        {"rank": rank, "average_rank": float(rank), "team": e.team, "submission_uid": e.submission_uid}
        for rank, e in enumerate(request.entries, 1)
    ]
    data = json.dumps({"entries": rows}).encode()
    key = keys.board(request.competition_namespace, request.competition, request.phase, "table.json")
    root_store(world).put_object(keys.MAIN_BUCKET, key, io.BytesIO(data), len(data))


def find_requested(world: World, job: dict[str, Any]) -> dict[str, Any] | None:
    """What the Leaderboard says that an aggregate Job is to rank; None while that is not known."""
    told = environment(job, "aggregate")
    board = world.find(LEADERBOARDS, told["ALCOVE_LEADERBOARD"].rpartition("/")[2]) or {"spec": {}}
    requested: dict[str, Any] = board["spec"].get("requested") or {}
    return requested if requested.get("generation") == int(told["ALCOVE_GENERATION"]) else None


def publish(world: World, job: dict[str, Any]) -> AggregateRequest:
    """What the aggregate job would write, and its end."""
    requested = wait_for("what is to be ranked", lambda: find_requested(world, job))
    key = environment(job, "aggregate")["ALCOVE_REQUEST_KEY"]
    data = root_store(world).get_object(keys.MAIN_BUCKET, key).read()
    assert hashlib.sha256(data).hexdigest() == requested["sha256"]
    request = AggregateRequest.model_validate_json(data)
    entries = [
        {
            "rank": rank,
            "team": e.team,
            "submission": e.submission,
            "submissionUid": e.submission_uid,
            "averageRank": float(rank),
            "scores": [],
        }
        for rank, e in enumerate(request.entries, 1)
    ]
    status = {"generation": request.generation, "teams": len(entries), "entries": entries[:ROWS]}
    world.status(LEADERBOARDS, request.leaderboard, status)
    if len(entries) > ROWS:
        put_table(world, request)
    world.finish(job)
    return request


def check_secret(world: World, job: dict[str, Any]) -> None:
    """It goes with the Job, and the recorder's credentials can only put below the attempt's prefix."""
    name, uid = job["metadata"]["name"], job["metadata"]["labels"]["alcove.dev/submission-uid"]
    secret = wait_for("the run's Secret", lambda: world.find(SECRETS, name))
    assert [o["uid"] for o in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
    given = secret_file(secret, "recorder.json")
    provider = StaticProvider(given["access_key"], given["secret_key"], given["session_token"])
    recorder = Minio(endpoint=world.minio.endpoint, credentials=provider, secure=False, region="us-east-1")
    config = RunConfig.model_validate_json(environment(job, "recorder")["ALCOVE_RUN"])
    prefix = keys.attempt_prefix(uid, config.alias, 1, "pod")
    recorder.put_object(keys.MAIN_BUCKET, keys.log(prefix), io.BytesIO(b"hello"), 5)
    for denied in (
        keys.log(keys.attempt_prefix(uid, "other", 1, "pod")),
        keys.code(config.code_sha256 or ""),
    ):
        with pytest.raises(S3Error, match="AccessDenied"):
            recorder.put_object(keys.MAIN_BUCKET, denied, io.BytesIO(b"x"), 1)


def test_from_apply_to_a_rank(world: World) -> None:
    world.join(RED, "one")
    world.open_competition("one")
    first = world.submission("first", "one", RED)["metadata"]
    uid = first["uid"]
    job = world.job(f"r-{uid[:8]}")
    labels = job["metadata"]["labels"]
    assert labels["alcove.dev/submission-uid"] == uid
    assert labels["alcove.dev/team"] == RED
    assert labels["alcove.dev/role"] == "run"
    assert job["spec"]["template"]["metadata"]["labels"].items() >= labels.items()

    check_secret(world, job)

    # The pod as the API server's Pod Security admission (restricted) lets it in.
    pod = world.pod_of(job)
    world.running(pod)
    wait_for("Running", lambda: run_status(world, "first", RED).get("phase") == "Running")
    world.ended(pod, 12, OVER_BUDGET)
    scoring = world.job(f"s-{uid[:8]}")
    key = keys.verdict(uid, "one-digits")
    store = root_store(world)
    verdict = Verdict.model_validate_json(wait_for("the verdict", lambda: read(store, key)))
    assert (verdict.attempt, verdict.cause, verdict.charged_to) == (1, "DeadlineReached", "Participant")
    score(world, scoring, 0.8125)

    done = wait_for("Done", lambda: finished(world, "first", RED))
    assert done["score"] == "0.812"
    assert done["runs"][0]["cause"] == "DeadlineReached"
    assert done["runs"][0]["overshootMs"] == pytest.approx(1.6)
    asked = publish(world, world.job("a-one-practice-"))
    assert [e.submission_uid for e in asked.entries] == [uid]
    wait_for("the rank", lambda: world.submission_status("first", RED).get("rank") == 1)
    assert world.submission_status("first", RED)["counted"] is True
    wait_for("all Jobs of the submission are gone", lambda: not jobs_of(world, uid))

    # A second submission of the team replaces the first on the board. Times of creation are whole seconds.
    wait_for("the next second", lambda: now() > first["creationTimestamp"])
    second = world.submission("second", "one", RED)["metadata"]["uid"]
    job = world.job(f"r-{second[:8]}")
    pod = world.pod_of(job)
    world.running(pod)
    world.ended(pod, 0, FINISHED)
    score(world, world.job(f"s-{second[:8]}"), 0.9)
    asked = publish(world, world.job(f"a-one-practice-{asked.generation + 1}"))
    assert [e.submission_uid for e in asked.entries] == [second]
    wait_for("the rank moved", lambda: world.submission_status("second", RED).get("rank") == 1)
    wait_for("the first is off", lambda: not world.submission_status("first", RED).get("counted"))
    assert world.submission_status("first", RED).get("rank") is None
    usage = world.find(TEAM_USAGES, f"one.{RED}")["status"]  # type: ignore[index]
    assert (usage["total"], usage["settling"]) == (2, [])


def read(store: Minio, key: str) -> bytes | None:
    try:
        return bytes(store.get_object(keys.MAIN_BUCKET, key).read())
    except S3Error:
        return None


def finished(world: World, name: str, team: str) -> dict[str, Any] | None:
    status = world.submission_status(name, team)
    return status if status.get("phase") in ("Done", "Failed", "Rejected") else None


def test_killed_and_restarted_makes_no_second_job(world: World) -> None:
    world.join(BLUE, "two")
    world.open_competition("two")
    uid = world.submission("kept", "two", BLUE)["metadata"]["uid"]
    job = world.job(f"r-{uid[:8]}")
    pod = world.pod_of(job)
    world.running(pod)
    wait_for("Running", lambda: run_status(world, "kept", BLUE).get("phase") == "Running")
    world.operator.stop(signal.SIGKILL)
    world.ended(pod, 12, OVER_BUDGET)
    # Same name in the Lease, as a restarted container has: it need not wait for the Lease to run out.
    world.operator.start()
    score(world, world.job(f"s-{uid[:8]}"), 0.5)
    done = wait_for("Done", lambda: finished(world, "kept", BLUE))
    assert (done["phase"], done["runs"][0]["attempt"], done["runs"][0]["cause"]) == (
        "Done",
        1,
        "DeadlineReached",
    )
    made = {j["metadata"]["uid"] for j in jobs_of(world, uid) if j["metadata"]["name"].startswith("r-")}
    assert made <= {job["metadata"]["uid"]}


def test_deleting_a_submission_stops_its_jobs_and_lets_it_go(world: World) -> None:
    world.join(GREEN, "three")
    world.open_competition("three")
    uid = world.submission("doomed", "three", GREEN)["metadata"]["uid"]
    pod = world.pod_of(world.job(f"r-{uid[:8]}"))
    world.running(pod)
    wait_for("Running", lambda: run_status(world, "doomed", GREEN).get("phase") == "Running")
    world.delete(SUBMISSIONS, "doomed", GREEN)
    run = f"r-{uid[:8]}"
    wait_for("its run's Job is gone", lambda: not any(map(partial(is_named, run), jobs_of(world, uid))))
    assert world.find(SUBMISSIONS, "doomed", GREEN), "it stays until its pod is known to be gone"
    world.delete(PODS, pod)
    # What it saved until then still counts, so it is scored first.
    score(world, world.job(f"s-{uid[:8]}"), 0.5)
    wait_for("it is gone", lambda: world.find(SUBMISSIONS, "doomed", GREEN) is None)


@pytest.mark.parametrize("team", [GREY])
def test_code_that_cannot_be_run_is_rejected_with_a_remedy_and_not_counted(world: World, team: str) -> None:
    world.join(team, "four")
    world.open_competition("four")
    store = root_store(world)
    data = b"something else"
    # Sound, and admitted already for the team that uploaded it.
    sound = pack_files({"model.py": b"x = 1"})
    digest_of_another_team = hashlib.sha256(sound).hexdigest()
    for bucket, key, content in (
        (keys.UPLOADS_BUCKET, keys.team_bundle(team, "e" * 64), data),
        (keys.UPLOADS_BUCKET, keys.team_bundle(GREEN, digest_of_another_team), sound),
        (keys.MAIN_BUCKET, keys.code(digest_of_another_team), sound),
    ):
        store.put_object(bucket, key, io.BytesIO(content), len(content))
    world.submission("wrong-digest", "four", team, {"bundle": {"sha256": "e" * 64}})
    status = wait_for("it is rejected", partial(finished, world, "wrong-digest", team))
    condition = status["conditions"][0]
    assert (status["phase"], condition["status"], condition["reason"]) == (
        "Rejected",
        "False",
        "DigestMismatch",
    )
    assert "alcove submit" in condition["message"]
    world.submission("of-another-team", "four", team, {"bundle": {"sha256": digest_of_another_team}})
    permit = permit_of(world, "of-another-team", team)
    assert permit.fields[0].value == keys.team_bundle(team, digest_of_another_team)
    assert not [j for j in world.list(JOBS) if j["metadata"]["labels"].get("alcove.dev/team") == team]
    assert world.find(TEAM_USAGES, f"four.{team}") is None


def permit_of(world: World, name: str, team: str) -> UploadPermit:
    """Once the operator has answered with one."""
    status = wait_for(
        f"a permit of {name}",
        lambda: (found := world.submission_status(name, team)).get("upload") and found,
    )
    assert status["cause"] == "UploadAwaited"
    return UploadPermit.model_validate(status["upload"])


@pytest.mark.parametrize("team", [GREY])
def test_a_bundle_is_uploaded_by_the_permit_of_its_submission_and_only_once(world: World, team: str) -> None:
    world.join(team, "permits")
    world.open_competition("permits")
    bundle = pack_files({"model.py": b"uploaded = 1"})
    code = {"bundle": {"sha256": hashlib.sha256(bundle).hexdigest()}}
    world.submission("first-upload", "permits", team, code)
    permit = permit_of(world, "first-upload", team)
    send_upload(permit, io.BytesIO(bundle), len(bundle), permit.url)
    status = wait_for(
        "it is admitted", lambda: (s := world.submission_status("first-upload", team)).get("phase") and s
    )
    assert (status["phase"], status["codeSha256"]) != ("Rejected", "")
    assert "upload" not in status, "a permit is of no more use"
    # What the team has submitted before it need not upload again.
    world.submission("same-upload", "permits", team, code)
    again = wait_for(
        "it is admitted", lambda: (s := world.submission_status("same-upload", team)).get("phase") and s
    )
    assert again["codeSha256"] == code["bundle"]["sha256"]


@pytest.mark.parametrize("team", [GREY])
def test_a_team_offers_datasets_by_permits_in_its_own_secret(world: World, team: str) -> None:
    world.open_competition("offers")
    data = wait_for(
        "permits",
        lambda: (world.find(SECRETS, OFFERS_SECRET, team) or {}).get("data", {}).get(PERMITS_KEY),
    )
    permits = OfferPermits.model_validate_json(base64.b64decode(data))
    assert len(permits.slots) == SLOTS
    sizes = {permit.bytes_at_most for slot in permits.slots for permit in (slot.archive, slot.entry)}
    assert sizes == {slot_bytes(Limits().shared_bytes), ENTRY_BYTES}
    archive = permits.slots[2].archive
    send_upload(archive, io.BytesIO(b"some"), 4, archive.url)
    found = root_store(world).stat_object(keys.UPLOADS_BUCKET, keys.shared_archive(team, 2))
    assert found.size == 4


def test_an_unsound_dataset_says_what_to_do(world: World) -> None:
    world.dataset("five-digits")
    job = world.job("c-five-digits-")
    problem = "The solution has 49 rows, but the test set has 50 examples."
    result = CheckResult(ok=False, problems=(problem,))
    world.said(world.pod_of(job), "check", result.model_dump_json(), 1)
    world.finish(job, ok=False)
    wait_for("not Ready", lambda: ready(world.find(DATASETS, "five-digits")) == "False")
    message = (world.find(DATASETS, "five-digits") or {})["status"]["conditions"][0]["message"]
    assert problem in message
    assert "alcove dataset push" in message
    wait_for("the check's Job is gone", lambda: not world.find(JOBS, job["metadata"]["name"]))


def test_a_check_that_cannot_be_done_says_what_its_job_said(world: World) -> None:
    world.dataset("unchecked-digits")
    job = world.job("c-unchecked-digits-")
    world.said(world.pod_of(job), "check", "solutions/x has more than 67108864 bytes. It was not read.", 4)
    world.finish(job, ok=False)

    def told() -> bool:
        conditions = (world.find(DATASETS, "unchecked-digits") or {}).get("status", {}).get("conditions", [])
        said = next((c["message"] for c in conditions if c["reason"] == "CheckNotDone"), "")
        return "has more than 67108864 bytes" in said

    # The operator may hear of the Job's end before it hears of the pod's, which has the words.
    wait_for("it is said", told)


def requests_so_far(world: World) -> dict[str, float]:
    port = world.operator.environment["ALCOVE_METRICS_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    found = re.findall(r'^alcove_api_requests_total\{resource="(\w+)",verb="(\w+)"\} ([0-9.]+)$', text, re.M)
    return {f"{verb} {resource}": float(count) for resource, verb, count in found if resource != "leases"}


def test_what_one_submission_costs(world: World) -> None:
    """Prints the figures; holds only their order of magnitude."""
    world.join(GOLD, "six")
    world.open_competition("six")
    before = requests_so_far(world)
    uid = world.submission("counted", "six", GOLD)["metadata"]["uid"]
    pod = world.pod_of(world.job(f"r-{uid[:8]}"))
    world.running(pod)
    world.ended(pod, 0, FINISHED)
    score(world, world.job(f"s-{uid[:8]}"), 0.5)
    publish(world, world.job("a-six-practice-"))
    wait_for("the rank", lambda: world.submission_status("counted", GOLD).get("rank") == 1)
    spent = {k: v - before.get(k, 0) for k, v in requests_so_far(world).items() if v != before.get(k, 0)}
    print(f"requests of one submission with one run: {sum(spent.values()):.0f}: {spent}")
    print(f"memory: {world.operator.memory_mib():.0f} MiB")
    assert sum(spent.values()) < 60
    assert world.operator.memory_mib() < 300
