"""The permits by which teams offer datasets are kept fresh, one team's trouble being its own."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from minio.credentials import StaticProvider

from alcove_api.offers import OFFERS_SECRET, PERMITS_KEY, SLOTS, OfferPermits, slot_bytes
from alcove_kube.client import KubeClient
from alcove_kube.resources import COMPETITIONS
from alcove_operator.api import Api
from alcove_operator.index import Index
from alcove_operator.offers import LIFE, LOOK, Offers, sign_permits
from alcove_operator.store import OperatorStore
from alcove_store.client import client
from tests.unit.kube.server import Answer, ScriptedServer, refusal, serving

STORE = OperatorStore(
    client("http://store:9000", "us-east-1", StaticProvider("operator", "secret")), "alcove"
)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
EMPTY = Answer(body={"metadata": {"name": OFFERS_SECRET}})


def offers(server: ScriptedServer, folder: Path, *teams: str, shared_bytes: int = 4 << 20) -> Offers:
    spec = {
        "phases": [{"name": "practice", "datasets": ["d"], "budget": {"seconds": 30}}],
        "limits": {"sharedBytes": shared_bytes},
    }
    index = Index()
    metadata = {"name": "cup", "namespace": "cup", "uid": "u", "resourceVersion": "1"}
    index.apply(COMPETITIONS, {"metadata": metadata, "spec": spec})
    api = Api(KubeClient.from_kubeconfig(server.kubeconfig(folder)))
    return Offers(api, index, STORE, "http://store.example", lambda: teams, lambda: NOW)


def asked(server: ScriptedServer) -> list[tuple[str, str]]:
    return [(a.verb, a.path.removeprefix("/api/v1/namespaces/")) for a in server.asked]


def secret(permits: OfferPermits) -> Answer:
    data = base64.b64encode(permits.model_dump_json(by_alias=True).encode()).decode()
    return Answer(body={"data": {PERMITS_KEY: data}})


def written(body: Any) -> OfferPermits:
    return OfferPermits.model_validate_json(base64.b64decode(body["data"][PERMITS_KEY]))


def test_a_new_team_gets_permits_of_its_own_for_each_slot(tmp_path: Path) -> None:
    with serving(EMPTY, Answer()) as server:
        asyncio.run(offers(server, tmp_path, "red").refresh())
    path = f"red/secrets/{OFFERS_SECRET}"
    assert asked(server) == [("GET", path), ("PATCH", path)]
    permits = written(server.asked[1].body)
    assert (len(permits.slots), permits.bytes_at_most) == (SLOTS, slot_bytes(4 << 20))
    assert permits.expires_at == NOW + LIFE
    names = [slot.archive.fields[0].value for slot in permits.slots]
    assert names == [f"shared/red/{slot}/dataset.tar.gz" for slot in range(SLOTS)]
    assert {slot.archive.url for slot in permits.slots} == {"http://store.example/alcove-uploads"}


@pytest.mark.parametrize(
    ("age", "most", "renewed"),
    [
        (timedelta(hours=1), slot_bytes(4 << 20), False),
        (LIFE * 2 / 3, slot_bytes(4 << 20), True),
        (timedelta(hours=1), slot_bytes(8 << 20), True),
    ],
)
def test_permits_are_renewed_at_half_of_their_life_or_for_another_limit(
    tmp_path: Path, age: timedelta, most: int, renewed: bool
) -> None:
    there = secret(sign_permits(STORE, "http://store.example", "red", most, NOW - age))
    with serving(there, Answer()) as server:
        asyncio.run(offers(server, tmp_path, "red").refresh())
    assert [verb for verb, _ in asked(server)] == (["GET", "PATCH"] if renewed else ["GET"])


def test_a_team_whose_secret_is_missing_keeps_nobody_waiting_and_is_tried_again(tmp_path: Path) -> None:
    with serving(refusal(404, "NotFound"), EMPTY, Answer(), EMPTY, Answer()) as server:
        permits = offers(server, tmp_path, "blue", "red")
        asyncio.run(permits.refresh())
        assert [verb for verb, _ in asked(server)] == ["GET", "GET", "PATCH"]
        asyncio.run(permits.refresh())
        assert len(server.asked) == 3, "not at once"
        permits.clock = lambda: NOW + timedelta(minutes=2)
        asyncio.run(permits.refresh())
        assert asked(server)[3:] == [(verb, f"blue/secrets/{OFFERS_SECRET}") for verb in ("GET", "PATCH")]


def test_a_competition_can_let_teams_offer_nothing(tmp_path: Path) -> None:
    with serving(EMPTY, Answer()) as server:
        asyncio.run(offers(server, tmp_path, "red", shared_bytes=0).refresh())
    assert written(server.asked[1].body).slots == ()


def test_what_a_team_wrote_into_its_secret_is_not_believed(tmp_path: Path) -> None:
    """It has no right to, but may have been given one."""
    with serving(Answer(body={"data": {PERMITS_KEY: "bm8="}}), Answer()) as server:
        permits = offers(server, tmp_path, "red")
        asyncio.run(permits.refresh())
        assert [verb for verb, _ in asked(server)] == ["GET", "PATCH"]
        permits.clock = lambda: NOW + LOOK / 2
        asyncio.run(permits.refresh())
        assert len(server.asked) == 2, "it is looked at now and then"
