"""A Competition that is deleted and made again in the middle of a turn."""

from __future__ import annotations

from typing import Any

import pytest

from alcove_kube.resources import COMPETITIONS
from alcove_operator.index import WorkKey
from alcove_operator.places import Places
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.virtual_time import run


def test_a_turn_on_the_one_before_writes_nothing_to_the_one_of_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        hackathon = Hackathon()
        service, spot, give = hackathon.service(), ("competitions", HACK, CUP), Places.give
        await service.start()

        async def renew(places: Places, *arguments: Any) -> Any:
            queue = await give(places, *arguments)
            old = hackathon.server.objects.pop(spot)
            service.index.apply(
                COMPETITIONS,
                hackathon.server.put(*spot[:2], {"metadata": {"name": CUP}, "spec": old["spec"]}),
            )
            return queue

        monkeypatch.setattr(Places, "give", renew)
        await service.competitions.work(WorkKey("competition", HACK, CUP))
        assert "status" not in hackathon.server.objects[spot]
        # Nothing of the one that is gone stays in memory.
        service._forget()
        assert service.competitions._paces == {}
        assert service.competitions.looks._known == {}
        assert service.competitions.looks.rankings.ranks._rounds == {}

    run(test())
