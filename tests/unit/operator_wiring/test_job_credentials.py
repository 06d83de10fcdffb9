"""Which credentials each Job gets: what its policies say, how long they are, and when they are made and renewed."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from alcove_api.documents import CheckRequest, StoreCredentials
from alcove_api.score_documents import SOLUTIONS_A_FILE, Feedback, ScoreDataset, ScoreRequest, Scoring
from alcove_kube.resources import JOBS
from alcove_operator import credentials, job_credentials
from alcove_operator.core import names
from alcove_operator.job_credentials import JobCredentials, grants_of
from alcove_operator.records import READERS
from alcove_operator.scorer_jobs import check_job, compare_job, rescore_job, score_job
from alcove_operator.service import Service
from alcove_store.errors import StoreDeniedError
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.test_manifests import SETTINGS, requests
from tests.unit.operator_wiring.virtual_time import run, wait_until

UID = "0123abcd-0000-0000-0000-000000000000"


SESSION = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>key</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def score_request(datasets: int = 1, longest: int = 1, **changes: Any) -> ScoreRequest:
    """``longest``: characters of each name that may be long."""
    return ScoreRequest(
        submission_uid=UID,
        namespace="n" * min(longest, 63),
        submission="s",
        competition_namespace="h" * min(longest, 63),
        competition="c" * longest,
        phase="p" * min(longest, 32),
        budget_seconds=20,
        scoring=Scoring(),
        feedback=changes.pop("feedback", Feedback()),
        datasets=tuple(
            ScoreDataset(alias=f"{n:a>32}", name=f"d{n}", solution_sha256=f"{n:064x}", n_test=9, n_labels=9)
            for n in range(datasets)
        ),
        **changes,
    )


def length(policy: credentials.Policy) -> int:
    return len(json.dumps(policy, separators=(",", ":")))


def resources(policy: credentials.Policy) -> set[str]:
    return {pattern for statement in policy["Statement"] for pattern in statement["Resource"]}


def test_policies_fit_however_many_datasets_a_phase_has_and_however_long_buckets_are_called() -> None:
    bucket, solutions = "b" * 63, "s" * 63
    for mode in ("final", "ladder"):
        request = score_request(64, 63, feedback=Feedback(mode=mode))
        grants = grants_of(request, bucket, solutions)
        assert len(grants) == 1 + -(-64 // SOLUTIONS_A_FILE)
        assert max(length(grant.policy) for grant in grants.values()) <= credentials.POLICY_LIMIT
    # Without a Ladder, the longest name of a Competition that the API allows.
    assert length(credentials.score_policy(score_request(1, 253), bucket)) <= credentials.POLICY_LIMIT
    check = CheckRequest(dataset="d", data_sha256="a" * 64, solution_sha256="b" * 64)
    assert length(credentials.check_policy(check, bucket, solutions)) <= credentials.POLICY_LIMIT


def test_every_solution_of_a_request_is_in_one_of_its_policies_and_no_other_is() -> None:
    request = score_request(40)
    patterns = {
        pattern
        for name, grant in grants_of(request).items()
        if name != "credentials.json"
        for pattern in resources(grant.policy)
    }
    digests = [dataset.solution_sha256 for dataset in request.datasets]
    wanted = {f"arn:aws:s3:::alcove-solutions/solutions/{digest[:16]}*" for digest in digests}
    assert patterns == wanted | {"arn:aws:s3:::alcove-solutions"}
    assert {digest for group in request.solution_groups() for digest in group} == set(digests)


def test_repeats_of_a_dataset_have_one_solution() -> None:
    request = score_request(2)
    twice = request.replace(datasets=(*request.datasets, request.datasets[0].replace(alias="digits.2")))
    assert twice.solution_groups() == request.solution_groups()


def test_no_right_of_a_score_job_leaves_its_submission_or_its_team() -> None:
    for mode in ("final", "ladder"):
        request = score_request(3, 5, feedback=Feedback(mode=mode))
        policy = grants_of(request)["credentials.json"].policy
        for statement in policy["Statement"]:
            for pattern in statement["Resource"]:
                key = pattern.removeprefix("arn:aws:s3:::alcove").removeprefix("/")
                board = key == "boards/hhhhh.ccccc/ppppp/curves.json" and statement["Action"] == [
                    "s3:GetObject"
                ]
                own = key.startswith((f"runs/{UID}/", f"scores/{UID}/"))
                ladder = (
                    mode == "ladder" and key.startswith("ladders/hhhhh.ccccc/ppppp/") and "/nnnnn/" in key
                )
                assert board or own or ladder or statement["Action"] == ["s3:ListBucket"], pattern
        (listing,) = (s for s in policy["Statement"] if s["Action"] == ["s3:ListBucket"])
        assert all(
            UID in p or "/nnnnn/" in p or p.endswith("curves.json")
            for p in listing["Condition"]["StringLike"]["s3:prefix"]
        )


@pytest.mark.parametrize("task", ["score", "rescore", "check", "check of a volume"])
def test_a_job_that_reads_what_others_wrote_mounts_the_secret_of_its_name(task: str) -> None:
    job = requests()[task]
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["store"]["secret"]["secretName"] == job["metadata"]["name"]


def test_jobs_that_rank_mount_the_aggregate_s() -> None:
    for task in ("aggregate", "compare"):
        volumes = {v["name"]: v for v in requests()[task]["spec"]["template"]["spec"]["volumes"]}
        assert volumes["store"]["secret"]["secretName"] == SETTINGS.aggregate_secret


def as_stored(job: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        **job["metadata"],
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {**job, "metadata": metadata}


def test_the_order_of_a_job_is_read_back_from_it() -> None:
    score, check = score_request(2), CheckRequest(dataset="d", data_sha256="a" * 64, solution_sha256="b" * 64)
    made = {
        names.SCORE: (score_job("s-x", {names.ROLE: names.SCORE}, score, SETTINGS), score),
        names.RESCORE: (rescore_job("x-1", {names.ROLE: names.RESCORE}, score, SETTINGS), score),
        "check": (check_job("c-x", {names.ROLE: "check"}, check, SETTINGS), check),
        "compare": (compare_job("x", {names.ROLE: names.RESCORE}, SETTINGS), None),
    }
    for job, order in made.values():
        record = READERS[JOBS](as_stored(job))
        assert (record.order, record.is_run) == (order, False)
    # Of another version of the operator: it has its credentials, or is made anew.
    (variable,) = (
        v for v in made[names.SCORE][0]["spec"]["template"]["spec"]["containers"][0]["env"]
        if v["name"] == "ALCOVE_REQUEST"
    )  # fmt: skip
    variable["value"] = json.dumps({"new": True})
    assert READERS[JOBS](as_stored(made[names.SCORE][0])).order is None


def test_each_set_is_asked_for_with_the_credentials_and_the_role_of_who_may_hand_it_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("operator", "scorer"):
        given = StoreCredentials(access_key=who, secret_key="secret")
        (tmp_path / f"{who}.json").write_bytes(given.canonical())
    settings = SETTINGS.model_copy(
        update={
            "store_credentials": tmp_path / "operator.json",
            "scorer_credentials": tmp_path / "scorer.json",
            "store_sts_endpoint": "https://sts.example.org",
            "store_score_role": "arn:aws:iam::1:role/score",
        }
    )
    asked: list[tuple[str, str, str]] = []

    def session(
        parent: StoreCredentials,
        endpoint: str,
        _region: str,
        _policy: object,
        _seconds: int,
        role: str,
        _: object,
    ) -> StoreCredentials:
        asked.append((parent.access_key, endpoint, role))
        return parent

    monkeypatch.setattr(job_credentials, "session_credentials", session)
    grants = JobCredentials(cast(Any, None), settings)
    for grant in grants_of(score_request()).values():
        grants._session(grant, timedelta(hours=2))
    assert set(asked) == {("scorer", "https://sts.example.org", "arn:aws:iam::1:role/score")}


def test_all_credentials_are_asked_for_over_one_connection(tmp_path: Path) -> None:
    """Over TLS another would take 2.6 ms of processor time, twice a run."""
    given = StoreCredentials(access_key="operator", secret_key="operator-secret")
    (tmp_path / "operator.json").write_text(given.model_dump_json())
    made: list[object] = []

    class Sts(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            made.append(self.client_address)
            super().setup()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(SESSION)))
            self.end_headers()
            self.wfile.write(SESSION)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Sts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        changes = {
            "store_credentials": tmp_path / "operator.json",
            "store_endpoint": f"http://127.0.0.1:{server.server_port}",
        }
        issuing = JobCredentials(cast(Any, None), SETTINGS.model_copy(update=changes))
        policy = credentials.stage_policy("a" * 64, None)
        for _ in range(3):
            session = issuing._session(job_credentials.Grant(policy, "operator"), timedelta(hours=1))
            assert session.session_token == "token"
        assert len(made) == 1
        issuing._connections.clear()
        server.shutdown()


@pytest.mark.parametrize("content", [None, b"", b'{"access_key": "operator"}'])
def test_a_file_without_credentials_fails_one_job_and_not_the_operator(
    tmp_path: Path, content: bytes | None
) -> None:
    """The operator outlives errors of its own kinds alone when it looks at everything."""
    file = tmp_path / "scorer.json"
    if content is not None:
        file.write_bytes(content)
    settings = SETTINGS.model_copy(update={"scorer_credentials": file})
    with pytest.raises(StoreDeniedError, match="could not be read") as caught:
        asyncio.run(JobCredentials(cast(Any, None), settings).issue(score_request()))
    assert "access_key" not in str(caught.value)


def operate(scenario: Callable[[Hackathon], Coroutine[Any, Any, None]]) -> None:
    async def with_an_operator() -> None:
        hackathon = Hackathon()

        async def test(_: Service) -> None:
            await scenario(hackathon)

        await hackathon.operate(test)

    run(with_an_operator())


def files_of(hackathon: Hackathon, job: str) -> set[str]:
    secret = hackathon.server.objects.get(("secrets", HACK, job))
    return set(secret["data"]) if secret else set()


def test_a_score_job_has_a_secret_that_it_owns_until_it_ends() -> None:
    async def scenario(hackathon: Hackathon) -> None:
        hackathon.submit("red", "one")

        def score_jobs() -> list[str]:
            return [
                name for plural, _, name in hackathon.server.objects if plural == "jobs" and name[:2] == "s-"
            ]

        files = {"credentials.json", "solutions-0.json"}
        await wait_until(
            "it has its credentials",
            lambda: [files_of(hackathon, job) for job in score_jobs()] == [files],
            300,
        )
        (job,) = score_jobs()
        owner = hackathon.server.objects["secrets", HACK, job]["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["name"]) == ("Job", job)
        await hackathon.ended("red", "one")
        assert not files_of(hackathon, job)

    operate(scenario)


def test_a_job_of_alcove_rescore_gets_its_secret_as_soon_as_it_is_seen() -> None:
    async def scenario(hackathon: Hackathon) -> None:
        request = score_request(13)
        labels = {names.ROLE: names.RESCORE, names.COMPETITION: CUP}
        hackathon.server.put("jobs", HACK, rescore_job("rescore-1", labels, request, hackathon.settings))
        hackathon.server.put("jobs", HACK, compare_job("rescore-2", labels, hackathon.settings))
        files = {"credentials.json", "solutions-0.json", "solutions-1.json"}
        await wait_until("it has its credentials", lambda: files_of(hackathon, "rescore-1") == files, 5)
        assert not files_of(hackathon, "rescore-2")
        secret = hackathon.server.objects["secrets", HACK, "rescore-1"]
        StoreCredentials.model_validate_json(base64.b64decode(secret["data"]["credentials.json"]))

    operate(scenario)


def test_a_job_made_again_takes_over_the_secret_of_the_one_that_had_its_name() -> None:
    """A check that could not be done is tried again under the same name, and the cluster removes what the first Job
    owned some time after that Job."""

    async def scenario(hackathon: Hackathon) -> None:
        check = CheckRequest(dataset="d", data_sha256="a" * 64, solution_sha256="b" * 64)
        credentials, secret = hackathon.service().credentials, ("secrets", HACK, "c-d")
        labels = {names.ROLE: "check"}
        await credentials.deliver("c-d", labels, "first", await credentials.issue(check))
        await credentials.deliver("c-d", labels, "second", await credentials.issue(check))
        owners = hackathon.server.objects[secret]["metadata"]["ownerReferences"]
        assert [owner["uid"] for owner in owners] == ["second"]

        # Nobody told the next one: its Job was made, and then the API server did not answer.
        await credentials.refresh("c-d", labels, "second", check)
        hackathon.server.remove(secret)
        await credentials.refresh("c-d", labels, "third", check)
        owners = hackathon.server.objects[secret]["metadata"]["ownerReferences"]
        assert [owner["uid"] for owner in owners] == ["third"]

    async def play() -> None:
        await scenario(Hackathon())

    run(play())
