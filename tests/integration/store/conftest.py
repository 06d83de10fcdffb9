from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from minio import Minio
from minio.credentials import StaticProvider

from alcove_api import keys
from alcove_api.documents import StoreCredentials
from alcove_api.score_documents import Feedback, ScoreDataset, ScoreRequest, Scoring
from alcove_operator import store_setup
from alcove_store import client as store_client
from tests.cluster import certs
from tests.cluster.api import StoreServer, minio_server, seaweedfs_server

REGION = "us-east-1"
ROLES = ("operator", "scorer", "aggregate", "board", "publisher", "auditor")
TEAMS = ("team-a", "team-b")


@dataclass(frozen=True)
class SetUpStore:
    """A store after the chart's hook has run, with a client for each role, and for each team by its namespace."""

    server: StoreServer
    environment: dict[str, str]
    credentials: dict[str, StoreCredentials]

    def client(self, who: str) -> Minio:
        return self.client_of(self.credentials[who])

    def client_of(self, found: StoreCredentials) -> Minio:
        provider = StaticProvider(found.access_key, found.secret_key, found.session_token)
        return store_client.client(self.server.url, REGION, provider)

    @property
    def root(self) -> Minio:
        return store_client.client(
            self.server.url, REGION, StaticProvider(self.server.access_key, self.server.secret_key)
        )


OPERATOR, SCORER = "alcove0operator", "alcove0scorer"
SIGNER = StoreCredentials(access_key=OPERATOR, secret_key="secret-of-operator")
"""The operator, who signs permits."""
SOLUTION_DIGESTS = tuple(f"{number:064x}" for number in (1 << 200, 2 << 200, 3 << 200))
OFFER = keys.shared_archive("team-b", 0)
BUNDLE, OTHER_BUNDLE = keys.team_bundle("team-a", "0" * 64), keys.team_bundle("team-b", "0" * 64)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server's certificate and key, of an authority that this process alone trusts. Elsewhere stores are tested
    without TLS.
    """
    folder = tmp_path_factory.mktemp("pki")
    certs.make_authority(folder)
    certs.make_certificate(folder, "server", "/CN=store", sans=["IP:127.0.0.1"])
    (folder / "server.crt").rename(folder / "public.crt")
    (folder / "server.key").rename(folder / "private.key")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALCOVE_STORE_CA", str(folder / "ca.crt"))
        yield folder


def user_entries() -> list[dict[str, str]]:
    """Of every role and team, for the store's setup."""
    roles = [{"role": r, "access_key": f"alcove0{r}", "secret_key": f"secret-of-{r}"} for r in ROLES]
    teams = [{"role": "team", "team": t, "access_key": f"alcove1{t.replace('-', '0')}"} for t in TEAMS]
    return roles + [{**team, "secret_key": f"secret-of-{team['team']}"} for team in teams]


def set_up(server: StoreServer, folder: Path) -> SetUpStore:
    """Does what the chart's hook does. The file of the users comes into ``folder``."""
    users = user_entries()
    (folder / "users.json").write_text(json.dumps({"users": users}))
    environment = {
        "ALCOVE_STORE_KIND": server.kind,
        "ALCOVE_STORE_ENDPOINT": server.url,
        "ALCOVE_STORE_REGION": REGION,
        "ALCOVE_STORE_ADMIN_USER": server.access_key,
        "ALCOVE_STORE_ADMIN_PASSWORD": server.secret_key,
        "ALCOVE_STORE_USERS": str(folder / "users.json"),
    }
    store_setup.set_up(environment, lambda _: None)
    credentials = {
        user.get("team", user["role"]): StoreCredentials(
            access_key=user["access_key"], secret_key=user["secret_key"]
        )
        for user in users
    }
    return SetUpStore(server, environment, credentials)


@pytest.fixture(scope="module", params=["minio", "seaweedfs"])
def set_up_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: Path
) -> Iterator[SetUpStore]:
    servers = {
        "minio": lambda: minio_server(lambda _: None, certificate=certificate, operator=SIGNER),
        "seaweedfs": lambda: seaweedfs_server(SIGNER, SCORER, lambda _: None, certificate=certificate),
    }
    with servers[request.param]() as server:
        found = set_up(server, tmp_path_factory.mktemp("users"))
        for key in (
            "ladders/ns.c/practice/d/team-a/table/00000000.json",
            "data/d1/manifest.json", "code/c1.tar.gz", "code/c2.tar.gz",
            "runs/u1/table/1-p/manifest.json", "scores/u1/s.json",
            "boards/ns.c/practice/table.json", "boards/ns.c/practice/request-1.json",
            "data/names/n/d0.json",
            "boards/ns.c/practice/curves.json", "boards/ns.c/practice/leaderboard.html",
            keys.report("u1"), keys.team_report("team-a", "u1"),
            keys.team_report("team-b", "u2"),
        ):  # fmt: skip
            store_client.put_bytes(found.root, keys.MAIN_BUCKET, key, b"{}")
        for key in (BUNDLE, OTHER_BUNDLE, OFFER):
            store_client.put_bytes(found.root, keys.UPLOADS_BUCKET, key, b"{}")
        for solution in ("s1", *SOLUTION_DIGESTS):
            store_client.put_bytes(found.root, keys.SOLUTIONS_BUCKET, keys.solution(solution), b"1 0\n")
        yield found


def score_request(uid: str, *digests: str, mode: Literal["final", "ladder"] = "ladder") -> ScoreRequest:
    """Of a submission of ``team-a``, on one dataset for each of ``digests``, of solutions."""
    return ScoreRequest(
        submission_uid=uid,
        namespace="team-a",
        submission="first",
        competition_namespace="ns",
        competition="c",
        phase="practice",
        budget_seconds=30,
        scoring=Scoring(),
        feedback=Feedback(mode=mode),
        datasets=tuple(
            ScoreDataset(alias=f"d{n}", name=f"d{n}", solution_sha256=digest, n_test=2, n_labels=2)
            for n, digest in enumerate(digests)
        ),
    )
