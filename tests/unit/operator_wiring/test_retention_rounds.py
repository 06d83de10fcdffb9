"""Rounds of retention through several competitions, one's trouble being its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from alcove_api.competition import PRUNE
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core.store_use import StoreUse
from alcove_operator.index import Index
from alcove_operator.metrics import Metrics
from alcove_operator.retention import RetentionKeeper
from alcove_operator.store import OperatorStore
from alcove_operator.stored_objects import StoredObjects
from alcove_operator.team_list import TeamList

SETTINGS = OperatorSettings(
    namespaces=(), competition_namespace="comp", image_ingestion="i", image_recorder="r",
    image_scorer="s", store_endpoint="http://store:9000", store_credentials=Path("credentials.json"),
)  # fmt: skip


class EmptyStore:
    def measure(self) -> StoreUse:
        return StoreUse()

    def list_releases(self) -> set[str]:
        return set()

    def counted(self, *_where: str) -> None:
        return None


class RefusingApi:
    """Of the first competition."""

    def __init__(self) -> None:
        self.written: dict[str, Object] = {}

    async def patch(self, _resource: object, _namespace: str, name: str, body: Object, _part: str) -> Object:
        if name == "first":
            raise ApiError("admission webhook denied the request", status=403)
        self.written[name] = body["status"]["retention"]
        return {**raw_competition(name, 9), **body}


def raw_competition(name: str, version: int) -> dict[str, Any]:
    metadata = {
        "name": name, "namespace": "comp", "uid": name, "resourceVersion": str(version), "annotations": {PRUNE: "now"},
    }  # fmt: skip
    phase = {"name": f"{name}-phase", "datasets": ["ds"], "budget": {"seconds": 9}}
    return {"metadata": metadata, "spec": {"phases": [phase]}}


def test_a_competition_that_cannot_be_written_costs_no_other_its_round() -> None:
    index, api, store = Index(), RefusingApi(), EmptyStore()
    for name in ("first", "second"):
        index.apply(COMPETITIONS, raw_competition(name, 1))
    keeper = RetentionKeeper(
        cast(Api, api), index, cast(OperatorStore, store), cast(StoredObjects, store),
        TeamList(cast(Api, api), SETTINGS), Metrics(), "comp",
    )  # fmt: skip
    asyncio.run(keeper.look(list(index.competitions.values())))
    assert {name: said["request"] for name, said in api.written.items()} == {"second": "now"}
