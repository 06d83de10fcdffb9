"""Requests that no client of Alcove sends: holders of narrow rights reach no other object by them, and lock none."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote, urlsplit

import pytest
import urllib3
from minio.credentials import Credentials
from minio.helpers import sha256_hash
from minio.signer import sign_v4_s3

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.uploads import FormField
from alcove_operator import credentials
from alcove_operator.job_credentials import grants_of
from alcove_operator.store import OperatorStore
from alcove_store import client as store_client
from alcove_store.errors import StoreError
from alcove_store.post import send_upload
from tests.cluster.stores import list_keys

from .conftest import REGION, SOLUTION_DIGESTS, SetUpStore, score_request

MAIN, SOLUTIONS, UPLOADS = keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET, keys.UPLOADS_BUCKET
SECRET = b"of somebody else"
DIGEST = SOLUTION_DIGESTS[0]
OWN = "runs/odd/table/1-p"
VICTIMS = (
    (MAIN, "scores/odd-other/s.json"), (MAIN, "runs/odd-other/table/1-p/log.txt"), (MAIN, "data/odd/manifest.json"),
    (MAIN, "reports/team-b/odd.json"), (UPLOADS, "bundles/team-b/odd"), (SOLUTIONS, "solutions/odd"),
)  # fmt: skip
"""What none of those who ask here may read or write."""


@dataclass(frozen=True)
class Asker:
    """Somebody with narrow rights, who writes requests by hand."""

    store: SetUpStore
    credentials: StoreCredentials

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        signed_path: str | None = None,
        host: str | None = None,
    ) -> tuple[int, bytes]:
        """Sends exactly that path. Servers differ in how they write it before they check a signature."""
        name = host or self.store.server.endpoint
        url = urlsplit(f"https://{name}/")._replace(path=signed_path or path, query=query)
        now = datetime.now(UTC)
        held, digest = self.credentials, sha256_hash(body)
        all_headers = {
            "Host": name,
            "x-amz-content-sha256": digest,
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
            **(headers or {}),
        }
        if held.session_token:
            all_headers["X-Amz-Security-Token"] = held.session_token
        signed = sign_v4_s3(
            method=method,
            url=url,
            region=REGION,
            headers=all_headers,
            credentials=Credentials(held.access_key, held.secret_key, held.session_token),
            content_sha256=digest,
            date=now,
        )
        context = ssl.create_default_context(cafile=os.environ["ALCOVE_STORE_CA"])
        connection = http.client.HTTPSConnection(self.store.server.endpoint, context=context, timeout=60)
        try:
            connection.putrequest(method, f"{path}?{query}" if query else path, skip_host=True)
            for header, value in signed.items():
                connection.putheader(header, str(value))
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask_both_ways(self, method: str, path: str, body: bytes = b"") -> list[tuple[int, bytes]]:
        """Signed as it is written, and as it is written once it has been read."""
        read = quote(unquote(path), safe="/-_.~")
        return [self.ask(method, path, body=body, signed_path=signed) for signed in {path, read}]


@pytest.fixture
def run(set_up_store: SetUpStore) -> Asker:
    policy = credentials.recorder_policy("odd", "table", 1)
    return _session(set_up_store, "operator", policy)


@pytest.fixture
def score_job(set_up_store: SetUpStore) -> Asker:
    request = score_request("odd", DIGEST, mode="final")
    return _session(
        set_up_store, "scorer", grants_of(request)["credentials.json"].policy, credentials.SCORE_ROLE
    )


@pytest.fixture
def team(set_up_store: SetUpStore) -> Asker:
    return Asker(set_up_store, set_up_store.credentials["team-a"])


def _session(
    store: SetUpStore, parent: str, policy: credentials.Policy, role: str = credentials.RUN_ROLE
) -> Asker:
    found = credentials.session_credentials(
        store.credentials[parent], store.server.url, REGION, policy, 3600, credentials.role_arn(role)
    )
    return Asker(store, found)


@pytest.fixture
def others(set_up_store: SetUpStore) -> Iterator[None]:
    """Objects of others, which are afterwards as they were, and nothing new is beside them."""
    for bucket, key in VICTIMS:
        store_client.put_bytes(set_up_store.root, bucket, key, SECRET)

    def look() -> dict[str, list[str]]:
        own = (f"{OWN}/", "scores/odd/")
        names = {b: list_keys(set_up_store.root, b, "") for b in (MAIN, SOLUTIONS, UPLOADS)}
        return {b: [key for key in found if not key.startswith(own)] for b, found in names.items()}

    before = look()
    yield
    assert look() == before
    for bucket, key in VICTIMS:
        assert store_client.get_bytes(set_up_store.root, bucket, key) == SECRET, key


UP = ("../", "%2e%2e/", "..%2F", ".//../", "..%5C", "..%00/")


def paths_out(start: str, bucket: str) -> Iterator[str]:
    """From there to the first and the last object of others, by all ways up."""
    for place, key in (VICTIMS[0], VICTIMS[-1]):
        inside = place == bucket
        for up in UP:
            yield f"/{bucket}/{start}{up * (start.count('/') + (not inside))}{key if inside else f'{place}/{key}'}"


@pytest.mark.usefixtures("others")
def test_no_path_leads_out_of_a_prefix(run: Asker, score_job: Asker, team: Asker) -> None:
    """SeaweedFS keeps objects in a tree of folders."""
    for asker, start, bucket, methods in (
        (run, f"{OWN}/", MAIN, ("PUT",)),
        (score_job, "runs/odd/", MAIN, ("GET",)),
        (score_job, "scores/odd/", MAIN, ("PUT",)),
        (team, "shared/", UPLOADS, ("GET", "PUT")),
        (team, "reports/team-a/", MAIN, ("GET",)),
    ):
        for method in methods:
            for path in paths_out(start, bucket):
                for status, answer in asker.ask_both_ways(method, path, b"x" if method == "PUT" else b""):
                    assert (status in (400, 403), SECRET in answer) == (True, False), (method, path, status)


@pytest.mark.usefixtures("others")
def test_no_list_leads_out_of_a_prefix(team: Asker, score_job: Asker) -> None:
    for asker, bucket, prefix in (
        (team, UPLOADS, "shared/../bundles/"), (team, UPLOADS, "shared/./../bundles/"),
        (team, UPLOADS, f"shared/../../{MAIN}/scores/"), (score_job, MAIN, "runs/odd/../"),
        (score_job, MAIN, "runs/odd/../odd-other/"), (score_job, MAIN, f"runs/odd/../../../{SOLUTIONS}/"),
    ):  # fmt: skip
        for more in ("", "delimiter=%2F&"):
            status, answer = asker.ask(
                "GET", f"/{bucket}", f"{more}list-type=2&prefix={quote(prefix, safe='')}"
            )
            assert status in (200, 400, 403)
            assert b"<Key>" not in answer or status != 200, answer
            assert b"<CommonPrefixes>" not in answer, answer


@pytest.mark.usefixtures("others")
def test_odd_keys_stay_in_their_prefix_or_are_refused(set_up_store: SetUpStore, run: Asker) -> None:
    """And whatever is taken is in the list that retention deletes by: SeaweedFS keeps versions and parts in folders
    that it does not list.
    """
    names = (
        "//x", "/./x", "/a//b", "/a%2Fb", "/a%5Cb", "/a%00b", "/a%0Ab", "/..", "/.", "/.versions/x", "/.uploads/x",
        "/x.versions/v", "/x.versions%5Cv", "/%252eversions/x", "/x%252eversions/v", "/%2Eversions/x", "/x/.versions",
        "/" + "x" * 1025, "/" + "x/" * 600, "/" + "y" * 5000,
    )  # fmt: skip
    for number, name in enumerate(names):
        prefix = f"{OWN}/{number}"
        for status, _ in run.ask_both_ways("PUT", f"/{MAIN}/{prefix}{name}", b"x"):
            assert status in (200, 400, 403), (name, status)
            assert status != 200 or list_keys(set_up_store.root, MAIN, prefix), f"{name} is hidden"


def test_a_run_writes_over_no_version(set_up_store: SetUpStore, run: Asker) -> None:
    """SeaweedFS keeps each as a file in a folder beside the object."""
    key = f"{OWN}/rec/00000000.json"
    assert run.ask("PUT", f"/{MAIN}/{key}", body=b"first")[0] == 200
    version = set_up_store.root.stat_object(MAIN, key).version_id
    for separator in ("/", "%5C"):
        run.ask_both_ways("PUT", f"/{MAIN}/{key}.versions{separator}v_{version}", b"other")
        run.ask_both_ways("DELETE", f"/{MAIN}/{key}.versions{separator}v_{version}")
    assert store_client.get_bytes(set_up_store.root, MAIN, key, version=version) == b"first"


SOURCES = (
    *(f"/{bucket}/{key}" for bucket, key in VICTIMS),
    f"/{MAIN}/runs/odd/../odd-other/table/1-p/log.txt", f"/{MAIN}/runs/odd/%2e%2e/odd-other/table/1-p/log.txt",
    f"/{MAIN}/runs/odd/..%2Fodd-other/table/1-p/log.txt", f"/{MAIN}/runs/odd/../../../{SOLUTIONS}/solutions/odd",
)  # fmt: skip


@pytest.mark.usefixtures("others")
def test_nobody_copies_what_he_may_not_read(run: Asker, score_job: Asker, team: Asker) -> None:
    own = f"/{MAIN}/{OWN}/plain"
    assert run.ask("PUT", own, body=b"x")[0] == 200
    for asker, target, sources in (
        (run, f"{own}-copy", (*SOURCES, own)),
        (score_job, f"/{MAIN}/scores/odd/copy", SOURCES),
    ):
        status, answer = asker.ask("POST", target, "uploads=")
        upload = re.search(rb"<UploadId>(.*?)</UploadId>", answer)
        assert (status, upload is None) == (200, False)
        assert upload is not None
        part = f"partNumber=1&uploadId={quote(upload[1].decode(), safe='')}"
        for source in sources:
            for query in ("", part):
                status, _ = asker.ask("PUT", target, query, {"x-amz-copy-source": source})
                assert status in (400, 403), (source, query)
    # It may copy what it may read.
    assert score_job.ask("PUT", f"/{MAIN}/scores/odd/copy", headers={"x-amz-copy-source": own})[0] == 200
    for target in (
        f"/{UPLOADS}/shared/team-a/0/x",
        f"/{UPLOADS}/bundles/team-a/x",
        f"/{MAIN}/reports/team-a/x",
    ):
        for source in (*SOURCES, f"/{UPLOADS}/{keys.shared_archive('team-b', 0)}"):
            assert team.ask("PUT", target, headers={"x-amz-copy-source": source})[0] in (400, 403)


LOCKS: dict[str, dict[str, str]] = {
    "compliance": {
        "x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z",
    },
    "governance": {
        "x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z",
    },
    "hold": {"x-amz-object-lock-legal-hold": "ON"},
}  # fmt: skip
HARMLESS: dict[str, dict[str, str]] = {
    "bypass": {"x-amz-bypass-governance-retention": "true"},
    "acl": {"x-amz-acl": "public-read-write"},
    "grant": {"x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
    "tagging": {"x-amz-tagging": "a=b"},
    "encryption": {"x-amz-server-side-encryption": "AES256"},
    "class": {"x-amz-storage-class": "GLACIER"},
    "redirect": {"x-amz-website-redirect-location": "https://other.example/"},
    "metadata": {"x-amz-meta-x": "y"},
}
"""Taken or refused, but nobody else reads the object then, and it can be deleted for good."""

SETTINGS = {
    "retention": (
        b"<Retention><Mode>COMPLIANCE</Mode>"
        b"<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>"
    ),
    "legal-hold": b"<LegalHold><Status>ON</Status></LegalHold>",
    "tagging": b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    "acl": b"",
}
"""Of an object, and what is asked for."""


def test_nobody_locks_what_retention_deletes_nor_makes_it_public(
    set_up_store: SetUpStore, run: Asker, score_job: Asker
) -> None:
    nobody = urllib3.PoolManager(ca_certs=os.environ["ALCOVE_STORE_CA"])
    for asker, prefix in ((run, f"{OWN}/snap/h-"), (score_job, "scores/odd/h-")):
        for name, headers in LOCKS.items():
            assert asker.ask("PUT", f"/{MAIN}/{prefix}{name}", headers=headers, body=b"x")[0] == 403, name
            assert asker.ask("POST", f"/{MAIN}/{prefix}{name}", "uploads=", headers)[0] == 403, name
        for name, headers in HARMLESS.items():
            key = f"{prefix}{name}"
            status, _ = asker.ask("PUT", f"/{MAIN}/{key}", headers=headers, body=b"x")
            if status != 200:
                continue
            anonymous = nobody.request(
                "GET", f"{set_up_store.server.url}/{MAIN}/{key}", redirect=False, retries=False
            )
            assert anonymous.status == 403, name
            version = set_up_store.root.stat_object(MAIN, key).version_id
            set_up_store.root.remove_object(MAIN, key, version_id=version)
            assert list_keys(set_up_store.root, MAIN, key) == []
        for setting, body in SETTINGS.items():
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            headers = {"Content-MD5": digest, "x-amz-acl": "public-read"}
            path = f"/{MAIN}/{prefix}metadata"
            assert asker.ask("PUT", path, f"{setting}=", headers, body)[0] in (400, 403, 404), setting
        for setting in ("policy", "acl", "versioning", "lifecycle", "object-lock", "cors"):
            assert asker.ask("PUT", f"/{MAIN}", f"{setting}=", body=b"x")[0] in (400, 403), setting


@pytest.mark.parametrize(
    "change",
    [
        {"x-amz-copy-source": f"/{SOLUTIONS}/solutions/odd"},
        {"key": "bundles/team-a/../team-b/odd"},
        {"key": "bundles/team-b/${filename}"},
        {"key": "bundles/team-a/%2e%2e/team-b/odd"},
        {"x-amz-object-lock-legal-hold": "ON"},
        {"acl": "public-read"},
    ],
)
@pytest.mark.usefixtures("others")
def test_a_form_says_nothing_that_its_permit_does_not(
    set_up_store: SetUpStore, change: dict[str, str]
) -> None:
    operator = OperatorStore(set_up_store.client("operator"), MAIN)
    key, ends = keys.team_bundle("team-a", "7e" * 32), datetime.now(UTC) + timedelta(hours=1)
    permit = operator.permit_upload(key, 100, ends, set_up_store.server.url)
    fields = {field.name: field.value for field in permit.fields} | change
    changed = permit.replace(
        fields=tuple(FormField(name=name, value=value) for name, value in fields.items())
    )
    with pytest.raises(StoreError):
        send_upload(changed, io.BytesIO(b"x"), 1, permit.url)


@pytest.mark.usefixtures("others")
def test_a_store_in_the_cluster_knows_a_bucket_by_its_path_alone(run: Asker) -> None:
    """Who names it by a host reaches no other bucket."""
    for path in (f"/{OWN}/by-host", f"/{VICTIMS[0][1]}"):
        status, _ = run.ask("PUT", path, body=b"x", host=f"{MAIN}.{run.store.server.endpoint}")
        assert status in (400, 403, 404)


def test_a_form_sent_to_a_bucket_s_host_is_not_taken_by_a_store_in_the_cluster(
    set_up_store: SetUpStore,
) -> None:
    operator = OperatorStore(set_up_store.client("operator"), MAIN)
    key, ends = keys.team_bundle("team-a", "8e" * 32), datetime.now(UTC) + timedelta(hours=1)
    permit = operator.permit_upload(key, 100, ends, set_up_store.server.url)
    form: list[tuple[str, str | tuple[str, bytes]]] = [(field.name, field.value) for field in permit.fields]
    pool = urllib3.PoolManager(ca_certs=os.environ["ALCOVE_STORE_CA"])
    for path, host, taken in (
        ("/", f"{UPLOADS}.{set_up_store.server.endpoint}", False),
        (f"/{UPLOADS}", set_up_store.server.endpoint, True),
    ):
        answer = pool.request(
            "POST",
            f"{set_up_store.server.url}{path}",
            fields=[*form, ("file", ("upload", b"x"))],
            headers={"Host": host},
            retries=False,
        )
        assert (answer.status < 300) == taken, answer.data
        assert (key in operator.list_uploads(keys.BUNDLES)) == taken
