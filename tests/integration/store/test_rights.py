"""Who may do what in real stores: everything that a role needs works, and a sample of all else does not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from minio import Minio

from alcove_api import keys
from alcove_api.documents import CheckRequest, StoreCredentials
from alcove_api.run_documents import Record, RepeatedAttempt, Verdict
from alcove_api.score_documents import ScoreRequest
from alcove_operator import credentials, store_setup
from alcove_operator.errors import OperatorError
from alcove_operator.job_credentials import grants_of
from alcove_operator.store import OperatorStore
from alcove_store import client as store_client
from alcove_store.errors import (
    StoreConflictError,
    StoreDeniedError,
    StoreNotFoundError,
    StoreUnavailableError,
)
from tests.cluster.stores import list_keys

from .conftest import (
    BUNDLE,
    OFFER,
    OPERATOR,
    OTHER_BUNDLE,
    REGION,
    ROLES,
    SOLUTION_DIGESTS,
    TEAMS,
    SetUpStore,
    score_request,
)

MAIN, SOLUTIONS, UPLOADS = keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET, keys.UPLOADS_BUCKET
SOLUTION = keys.solution("s1")

Try = Callable[[Minio], object]


def get(key: str, bucket: str = MAIN) -> Try:
    return lambda client: store_client.get_bytes(client, bucket, key)


def put(key: str, bucket: str = MAIN) -> Try:
    return lambda client: store_client.put_bytes(client, bucket, key, b"{}")


def listing(prefix: str, bucket: str = MAIN) -> Try:
    return lambda client: list_keys(client, bucket, prefix)


def delete(key: str, bucket: str = MAIN) -> Try:
    def remove(client: Minio) -> None:
        with store_client.store_errors(f"deleting {key}"):
            client.remove_object(bucket, key)

    return remove


def stat(key: str, bucket: str = MAIN) -> Try:
    """Its size and its time."""

    def look(client: Minio) -> None:
        with store_client.store_errors(f"looking at {key}"):
            client.stat_object(bucket, key)

    return look


def is_denied(attempt: Try, client: Minio) -> bool:
    try:
        attempt(client)
    except StoreDeniedError:
        return True
    return False


ALLOWED: dict[str, list[Try]] = {
    "operator": [
        get(BUNDLE, UPLOADS), put(BUNDLE, UPLOADS), put("bundles/team-a/x", UPLOADS), listing("bundles/", UPLOADS),
        delete("bundles/team-a/x", UPLOADS), put("code/c3.tar.gz"), get("code/c1.tar.gz"),
        get("runs/u1/table/1-p/manifest.json"), listing("runs/u1/"), put(keys.verdict("u1", "table")),
        get("scores/u1/s.json"), listing("scores/u1/"), get("boards/ns.c/practice/table.json"),
        put(keys.team_report("team-a", "u1")), put(keys.board_request("ns", "c", "practice", 7)),
        put(keys.board("ns", "c", "practice", "counted.json")), put(keys.board("ns", "c", "practice", "activity.json")),
    ],
    "scorer": [
        get("runs/u1/table/1-p/manifest.json"), listing("runs/u1/"), put("runs/u1/table/1-p/manifest.json"),
        get(SOLUTION, SOLUTIONS), get("data/d1/manifest.json"), listing("data/d1/"), put("scores/u1/s2.json"),
        get("boards/ns.c/practice/curves.json"), put("ladders/ns.c/practice/d/team-a/table/00000001.json"),
        get("ladders/ns.c/practice/d/team-a/table/00000000.json"), listing("ladders/ns.c/practice/d/team-a/table/"),
    ],
    "aggregate": [
        get("scores/u1/s.json"), put("boards/ns.c/practice/table.json"), get("boards/ns.c/practice/request-1.json"),
        put("boards/ns.c/practice/leaderboard.html"), put("boards/ns.c/practice/curves.json"),
        put("boards/ns.c/practice/history.json"),
    ],
    "board": [
        get("boards/ns.c/practice/table.json"), get("boards/ns.c/practice/leaderboard.html"),
        get("boards/ns.c/practice/curves.json"), listing("boards/ns.c/practice/leaderboard.html"),
    ],
    "publisher": [
        put("data/d2/manifest.json"), get("data/d1/manifest.json"), put(keys.solution("s2"), SOLUTIONS),
        put("data/names/n/d1.json"), listing("data/names/"), listing("data/names/n/"),
    ],
    "auditor": [
        get("runs/u1/table/1-p/manifest.json"), listing("runs/u1/"), get("scores/u1/s.json"), listing("scores/u1/"),
        get("boards/ns.c/practice/table.json"), listing("boards/ns.c/practice/"), get("data/d1/manifest.json"),
        listing("data/d1/"), get("code/c1.tar.gz"), get(SOLUTION, SOLUTIONS), listing("bundles/", UPLOADS),
        listing("shared/", UPLOADS),
    ],
    "team-a": [
        get(OFFER, UPLOADS), listing("shared/", UPLOADS), listing("shared/team-b/", UPLOADS),
        get(keys.team_report("team-a", "u1")), listing(keys.team_reports("team-a")),
        stat(OFFER, UPLOADS),
    ],
}  # fmt: skip

DENIED: dict[str, list[Try]] = {
    "operator": [
        get(SOLUTION, SOLUTIONS), listing("", SOLUTIONS), put(SOLUTION, SOLUTIONS), put("data/d1/x"),
        put("scores/u1/s.json"), put("boards/ns.c/practice/table.json"),
        put("boards/ns.c/practice/leaderboard.html"), put("boards/ns.c/request-1/table.json"),
        get("ladders/ns.c/practice/d/team-a/table/00000000.json"),
        delete("runs/u1/table/1-p/manifest.json"), get(keys.team_report("team-a", "u1")),
        delete(keys.team_report("team-a", "u1")),
    ],
    "scorer": [
        put("runs/u1/table/1-p/rec/00000000.json"), put("code/c1.tar.gz"), put("boards/ns.c/practice/table.json"),
        put(SOLUTION, SOLUTIONS), get(BUNDLE, UPLOADS), put(BUNDLE, UPLOADS), delete("runs/u1/table/1-p/manifest.json"),
        get("boards/ns.c/practice/table.json"), put("boards/ns.c/practice/curves.json"), listing("boards/"),
        delete("ladders/ns.c/practice/d/team-a/table/00000000.json"),
        put(keys.team_report("team-a", "u1")),
    ],
    "aggregate": [
        get(SOLUTION, SOLUTIONS), get("runs/u1/table/1-p/manifest.json"), put("scores/u1/s.json"),
        get("data/d1/manifest.json"), get("code/c1.tar.gz"), put("boards/ns.c/practice/request-1.json"),
        put("boards/ns.c/practice/counted.json"),
    ],
    "board": [
        get("boards/ns.c/practice/request-1.json"), get("boards/ns.c/practice/counted.json"), get("scores/u1/s.json"),
        get(keys.report("u1")), get(keys.team_report("team-a", "u1")), listing("reports/"), listing("scores/u1/"),
        put("boards/ns.c/practice/table.json"), delete("boards/ns.c/practice/table.json"), get(SOLUTION, SOLUTIONS),
        get("runs/u1/table/1-p/manifest.json"), get("data/d1/manifest.json"), listing(""), listing("", SOLUTIONS),
    ],
    "publisher": [
        get(SOLUTION, SOLUTIONS), get("code/c1.tar.gz"), put("scores/u1/s.json"), get(BUNDLE, UPLOADS),
        delete("data/d1/manifest.json"), listing("", SOLUTIONS), put("shared/team-a/x", UPLOADS),
        listing("bundles/", UPLOADS),
    ],
    "auditor": [
        put("runs/u1/table/1-p/manifest.json"), put("scores/u1/s.json"), put("boards/ns.c/practice/table.json"),
        put("data/d1/x"), put("code/c1.tar.gz"), put(SOLUTION, SOLUTIONS), delete("runs/u1/table/1-p/manifest.json"),
        delete("scores/u1/s.json"), get(BUNDLE, UPLOADS), put(BUNDLE, UPLOADS), listing("", UPLOADS), listing(""),
    ],
    "team-a": [
        get(keys.team_report("team-b", "u2")), listing(keys.team_reports("team-b")), listing("reports/"),
        put(keys.team_report("team-a", "u1")), delete(keys.team_report("team-a", "u1")), get(keys.report("u1")),
        # It uploads by permits alone.
        get(BUNDLE, UPLOADS), put(BUNDLE, UPLOADS), delete(BUNDLE, UPLOADS), listing("bundles/team-a/", UPLOADS),
        get(OTHER_BUNDLE, UPLOADS), put(OTHER_BUNDLE, UPLOADS), listing("bundles/", UPLOADS), listing("", UPLOADS),
        listing(""), get("data/d1/manifest.json"), get("code/c1.tar.gz"), get("scores/u1/s.json"),
        get(SOLUTION, SOLUTIONS), put("runs/u1/table/1-p/manifest.json"), listing("runs/u1/"), listing("scores/u1/"),
        stat("runs/u1/table/1-p/manifest.json"), stat("scores/u1/s.json"),
        put("shared/team-a/0/offer.json", UPLOADS), put(OFFER, UPLOADS), delete(OFFER, UPLOADS),
        put("shared/x", UPLOADS), listing("data/"), listing("data/names/"), get("data/names/n/d0.json"),
        put("data/d1/x"), put("data/names/n/d1.json"), put(SOLUTION, SOLUTIONS), listing("", SOLUTIONS),
    ],
}  # fmt: skip


def test_a_report_reaches_its_team_and_no_other(set_up_store: SetUpStore) -> None:
    put(keys.report("u7"))(set_up_store.client("scorer"))
    operator = OperatorStore(set_up_store.client("operator"), MAIN)
    key = keys.team_report("team-a", "u7")
    with pytest.raises(StoreNotFoundError):
        get(key)(set_up_store.client("team-a"))
    operator.publish_report("team-a", "u7")
    assert get(key)(set_up_store.client("team-a")) == b"{}"
    assert is_denied(get(key), set_up_store.client("team-b"))
    assert is_denied(get(keys.team_report("team-a", "absent")), set_up_store.client("team-b"))
    with pytest.raises(StoreNotFoundError):
        operator.publish_report("team-a", "never-scored")


def test_the_operator_sees_what_repeated_attempts_left(set_up_store: SetUpStore) -> None:
    operator, root = OperatorStore(set_up_store.client("operator"), MAIN), set_up_store.root
    record = Record(seq=0, name="a.npy", kind="npy", seen_ns=1, t_ns=1, sha256=None, bytes=0, previous=None)
    last = record.replace(seq=1, previous=record.digest())
    first, second = (keys.attempt_prefix("u8", "table", n, f"p-{n}") for n in (1, 2))
    for seq, one in enumerate((record, last)):
        store_client.put_bytes(root, MAIN, keys.record(first, seq), one.canonical())
    for prefix in (first, second, keys.attempt_prefix("u8", "table", 3, "p-3")):
        store_client.put_bytes(root, MAIN, keys.log(prefix), b"hello")
    store_client.put_bytes(root, MAIN, keys.manifest(second), b"{}")
    verdict = Verdict(
        submission_uid="u8",
        alias="table",
        attempt=3,
        pod_uid="p-3",
        phase="Done",
        cause="Finished",
        charged_to="",
    )
    hello, empty = (hashlib.sha256(data).hexdigest() for data in (b"hello", b"{}"))
    assert operator.list_repeated(verdict) == (
        RepeatedAttempt(attempt=1, pod_uid="p-1", head=last.digest(), manifest_sha256=None, log_sha256=hello),
        RepeatedAttempt(attempt=2, pod_uid="p-2", head=None, manifest_sha256=empty, log_sha256=hello),
    )
    assert operator.list_repeated(verdict.replace(submission_uid="u-none")) == ()


@pytest.mark.parametrize("who", ALLOWED)
def test_a_role_can_do_its_work(set_up_store: SetUpStore, who: str) -> None:
    for attempt in ALLOWED[who]:
        attempt(set_up_store.client(who))


@pytest.mark.parametrize("who", DENIED)
def test_a_role_can_do_nothing_else(set_up_store: SetUpStore, who: str) -> None:
    for number, attempt in enumerate(DENIED[who]):
        assert is_denied(attempt, set_up_store.client(who)), f"{who} was allowed number {number}"


def test_setting_up_again_changes_nothing(set_up_store: SetUpStore) -> None:
    said: list[str] = []
    store_setup.set_up(set_up_store.environment, said.append)
    test_a_role_can_do_its_work(set_up_store, "team-a")
    test_a_role_can_do_nothing_else(set_up_store, "team-a")
    assert len(said) == 3 + len(ROLES) + len(TEAMS)


def test_buckets_keep_every_version(set_up_store: SetUpStore) -> None:
    for bucket in (MAIN, SOLUTIONS):
        assert set_up_store.root.get_bucket_versioning(bucket).status == "Enabled"


def test_a_run_s_credentials_put_below_its_prefix_and_do_nothing_else(set_up_store: SetUpStore) -> None:
    session = credentials.session_credentials(
        set_up_store.credentials["operator"],
        set_up_store.server.url,
        REGION,
        credentials.recorder_policy("u1", "table", 1),
        900,
    )
    assert session.session_token
    assert session.expires_at is not None
    assert timedelta(minutes=55) < session.expires_at - datetime.now(UTC) < timedelta(minutes=65)
    client = set_up_store.client_of(session)
    own = keys.attempt_prefix("u1", "table", 1, "pod-1")
    put(keys.record(own, 0))(client)
    store_client.put_bytes(client, MAIN, keys.snapshot(own, 0), bytes(12 << 20))  # in parts
    forbidden: list[Try] = [
        get(keys.record(own, 0)), listing(own), delete(keys.record(own, 0)),
        put(keys.record(keys.attempt_prefix("u1", "table", 2, "pod-1"), 0)),
        put(keys.record(keys.attempt_prefix("u1", "table", 11, "pod-1"), 0)),
        put(keys.record(keys.attempt_prefix("u1", "text", 1, "pod-1"), 0)),
        put(keys.record(keys.attempt_prefix("u2", "table", 1, "pod-1"), 0)),
        put(keys.verdict("u1", "table")), put("scores/u1/s.json"), put("code/c1.tar.gz"),
        get("data/d1/manifest.json"), get(SOLUTION, SOLUTIONS), put(SOLUTION, SOLUTIONS), listing("", SOLUTIONS),
    ]  # fmt: skip
    for number, attempt in enumerate(forbidden):
        assert is_denied(attempt, client), f"number {number} was allowed"


def test_staging_credentials_read_this_run_s_input_and_do_nothing_else(set_up_store: SetUpStore) -> None:
    session = credentials.session_credentials(
        set_up_store.credentials["operator"],
        set_up_store.server.url,
        REGION,
        credentials.stage_policy("d1", "c1"),
        900,
    )
    client = set_up_store.client_of(session)
    get("data/d1/manifest.json")(client)
    get("code/c1.tar.gz")(client)
    for attempt in (
        get("code/c2.tar.gz"), get("data/d2/manifest.json"), put("data/d1/x"), put("runs/u1/table/1-p/x"),
        get("runs/u1/table/1-p/manifest.json"), get(SOLUTION, SOLUTIONS), listing("data/d1/"),
    ):  # fmt: skip
        assert is_denied(attempt, client)


def test_staging_credentials_can_do_nothing_where_nothing_is_staged(set_up_store: SetUpStore) -> None:
    """An image of the participant's own, on a dataset that lies on a volume."""
    parent, url = set_up_store.credentials["operator"], set_up_store.server.url
    session = credentials.session_credentials(parent, url, REGION, credentials.stage_policy(None, None), 900)
    client = set_up_store.client_of(session)
    for attempt in (
        get("data/d1/manifest.json"),
        get("code/c1.tar.gz"),
        put("code/c9.tar.gz"),
        listing("runs/u1/"),
    ):
        assert is_denied(attempt, client)


def issue(store: SetUpStore, order: ScoreRequest | CheckRequest) -> dict[str, StoreCredentials]:
    """What a Job of the scorer gets, by file."""
    return {
        name: credentials.session_credentials(
            store.credentials["scorer"],
            store.server.url,
            REGION,
            grant.policy,
            3600,
            credentials.role_arn(credentials.SCORE_ROLE),
        )
        for name, grant in grants_of(order).items()
    }


def hand_out(store: SetUpStore, order: ScoreRequest | CheckRequest) -> dict[str, Minio]:
    """A client for each set of credentials of a Job of the scorer, by its file."""
    return {name: store.client_of(found) for name, found in issue(store, order).items()}


def test_a_score_job_s_credentials_are_for_one_submission_and_its_phase_s_solutions(
    set_up_store: SetUpStore,
) -> None:
    own, other, strange = SOLUTION_DIGESTS
    request = score_request("u1", own, other)
    clients = hand_out(set_up_store, request)
    runs, solutions = clients["credentials.json"], clients["solutions-0.json"]
    digest = request.scoring_digest()
    ladder, foreign = (
        keys.ladder("ns", "c", "practice", digest, team, "d0") for team in ("team-a", "team-b")
    )
    allowed: list[Try] = [
        get("runs/u1/table/1-p/manifest.json"), listing("runs/u1/"), put("runs/u1/d0/1-p/manifest.json"),
        put(keys.score_result("u1", digest)), get(keys.score_result("u1", digest)), put(keys.report("u1")),
        put(keys.live_curve("u1")), listing("scores/u1/"), get("boards/ns.c/practice/curves.json"),
        put(keys.ladder_best(ladder, 0)), get(keys.ladder_best(ladder, 0)), listing(ladder),
    ]  # fmt: skip
    for attempt in allowed:
        attempt(runs)
    for key in ("runs/u1/absent/1-p/manifest.json", keys.score_result("u1", "0" * 16)):
        with pytest.raises(StoreNotFoundError):
            store_client.get_bytes(runs, MAIN, key)
    for solution in (own, other):
        get(keys.solution(solution), SOLUTIONS)(solutions)
    forbidden: list[Try] = [
        get("runs/u2/table/1-p/manifest.json"), put("runs/u2/table/1-p/manifest.json"), listing("runs/u2/"),
        listing("runs/"), get("scores/u2/s.json"), put(keys.score_result("u2", digest)), put(keys.report("u2")),
        put("runs/u1/d0/1-p/rec/00000000.json"), put(keys.verdict("u1", "d0")),
        put(keys.ladder_best(foreign, 0)), get("ladders/ns.c/practice/d/team-a/table/00000000.json"),
        put("boards/ns.c/practice/table.json"), put("boards/ns.c/practice/curves.json"),
        get("boards/ns.c/practice/table.json"), get("boards/ns.c/final/curves.json"),
        put(keys.team_report("team-a", "u1")), get("data/d1/manifest.json"), get("code/c1.tar.gz"),
        put("code/c1.tar.gz"), delete("runs/u1/d0/1-p/manifest.json"), delete(keys.report("u1")),
        get(BUNDLE, UPLOADS), put(BUNDLE, UPLOADS), get(keys.solution(own), SOLUTIONS), listing(""),
    ]  # fmt: skip
    for number, attempt in enumerate(forbidden):
        assert is_denied(attempt, runs), f"number {number} was allowed"
    beside: list[Try] = [
        get(keys.solution(strange), SOLUTIONS), get(SOLUTION, SOLUTIONS), put(keys.solution(own), SOLUTIONS),
        delete(keys.solution(own), SOLUTIONS), listing("", SOLUTIONS), listing("solutions/", SOLUTIONS),
        get("runs/u1/table/1-p/manifest.json"), put(keys.report("u1")),
    ]  # fmt: skip
    for number, attempt in enumerate(beside):
        assert is_denied(attempt, solutions), f"number {number} was allowed"


def test_without_a_ladder_a_score_job_reaches_none(set_up_store: SetUpStore) -> None:
    request = score_request("u1", SOLUTION_DIGESTS[0], mode="final")
    runs = hand_out(set_up_store, request)["credentials.json"]
    ladder = keys.ladder("ns", "c", "practice", request.scoring_digest(), "team-a", "d0")
    put(keys.report("u1"))(runs)
    for attempt in (put(keys.ladder_best(ladder, 0)), get(keys.ladder_best(ladder, 0)), listing(ladder)):
        assert is_denied(attempt, runs)


def test_a_check_s_credentials_read_one_dataset_and_its_solution(set_up_store: SetUpStore) -> None:
    own, strange, _ = SOLUTION_DIGESTS
    store_client.put_bytes(set_up_store.root, MAIN, keys.dataset_manifest(own), b"{}")
    order = CheckRequest(dataset="d", data_sha256=own, solution_sha256=own)
    client = hand_out(set_up_store, order)["credentials.json"]
    get(keys.dataset_manifest(own))(client)
    get(keys.solution(own), SOLUTIONS)(client)
    with pytest.raises(StoreNotFoundError):
        store_client.get_bytes(client, MAIN, keys.dataset_file(own, "absent"))
    for number, attempt in enumerate([
        get(keys.solution(strange), SOLUTIONS), get("data/d1/manifest.json"), put(keys.dataset_manifest(own)),
        put(keys.solution(own), SOLUTIONS), put("scores/u1/s.json"), get("scores/u1/s.json"), listing("runs/u1/"),
        get("runs/u1/table/1-p/manifest.json"), put("ladders/ns.c/practice/d/team-a/table/00000009.json"),
    ]):  # fmt: skip
        assert is_denied(attempt, client), f"number {number} was allowed"


def test_the_operator_cannot_hand_on_what_only_the_scorer_may(set_up_store: SetUpStore) -> None:
    """Of a role that it may not take, or of rights that it does not have."""
    grant = grants_of(score_request("u1", SOLUTION_DIGESTS[0]))["solutions-0.json"]
    role = credentials.role_arn(credentials.SCORE_ROLE)
    parent, url = set_up_store.credentials["operator"], set_up_store.server.url

    def read() -> None:
        session = credentials.session_credentials(parent, url, REGION, grant.policy, 3600, role)
        get(keys.solution(SOLUTION_DIGESTS[0]), SOLUTIONS)(set_up_store.client_of(session))

    with pytest.raises(StoreDeniedError):
        read()


def test_wrong_parent_credentials_are_told_from_a_store_that_is_away(set_up_store: SetUpStore) -> None:
    wrong = StoreCredentials(access_key=OPERATOR, secret_key="wrong-secret")
    policy = credentials.stage_policy("d1", "c1")
    with pytest.raises(StoreDeniedError):
        credentials.session_credentials(wrong, set_up_store.server.url, REGION, policy, 900)
    with pytest.raises(StoreUnavailableError):
        credentials.session_credentials(wrong, "http://127.0.0.1:9", REGION, policy, 900)


def test_a_policy_that_is_too_long_is_said_before_it_is_sent(set_up_store: SetUpStore) -> None:
    with pytest.raises(OperatorError, match="2048"):
        credentials.session_credentials(
            set_up_store.credentials["operator"],
            set_up_store.server.url,
            REGION,
            credentials.recorder_policy("u" * 2048, "table", 1),
            900,
        )


def test_what_is_written_once_is_not_written_again(set_up_store: SetUpStore) -> None:
    operator = set_up_store.client("operator")
    key = keys.verdict("u9", "table")
    store_client.put_if_absent(operator, MAIN, key, b"first")
    with pytest.raises(StoreConflictError):
        store_client.put_if_absent(operator, MAIN, key, b"second")
    assert store_client.get_bytes(operator, MAIN, key) == b"first"
    with pytest.raises(StoreDeniedError):
        store_client.put_if_absent(operator, MAIN, "scores/u9/x", b"{}")


def test_an_absent_object_is_told_from_a_forbidden_one(set_up_store: SetUpStore) -> None:
    for key in ("runs/u1/absent", "boards/ns.c/final/curves.json"):
        with pytest.raises(StoreNotFoundError):
            store_client.get_bytes(set_up_store.client("scorer"), MAIN, key)


def test_a_secret_that_was_replaced_is_refused(set_up_store: SetUpStore, tmp_path: Path) -> None:
    users = json.loads(Path(set_up_store.environment["ALCOVE_STORE_USERS"]).read_text())
    [changed] = [user for user in users["users"] if user.get("team") == "team-b"]
    changed["secret_key"] = "another-secret-of-team-b"
    path = tmp_path / "users.json"
    path.write_text(json.dumps(users))
    old = set_up_store.client("team-b")
    listing("shared/team-b/", UPLOADS)(old)
    store_setup.set_up({**set_up_store.environment, "ALCOVE_STORE_USERS": str(path)}, lambda _: None)
    assert is_denied(listing("shared/team-b/", UPLOADS), old)
    new = StoreCredentials(access_key=changed["access_key"], secret_key=changed["secret_key"])
    listing("shared/team-b/", UPLOADS)(set_up_store.client_of(new))
    store_setup.set_up(set_up_store.environment, lambda _: None)
    listing("shared/team-b/", UPLOADS)(old)
