"""A profile of resources that is drawn for a repeat is what its Job asks for, in every team's run alike."""

from __future__ import annotations

from alcove_kube.client import Object
from alcove_operator.core import names
from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import Hackathon
from tests.unit.operator_wiring.virtual_time import run

PROFILES: list[Object] = [
    {"memory": "1Gi", "cpu": "1", "gpus": 0},
    {"memory": "2Gi", "cpu": "2", "gpus": 0},
    {"memory": "4Gi", "cpu": "2", "gpus": 1},
]
ASKED = [
    {"memory": "1Gi", "cpu": "1"},
    {"memory": "2Gi", "cpu": "2"},
    {"memory": "4Gi", "cpu": "2", "nvidia.com/gpu": "1"},
]
"""What these are in a pod."""


def test_each_repeat_gets_another_profile_and_each_team_the_same() -> None:
    asked: dict[str, dict[str, Object]] = {"red": {}, "blue": {}}

    def note(plural: str, raw: Object, _gone: bool) -> None:
        labels = raw["metadata"].get("labels") or {}
        if plural != "jobs" or labels.get(names.ROLE) != names.RUN:
            return
        pod = raw["spec"]["template"]["spec"]
        (main,) = [container for container in pod["containers"] if container["name"] == "main"]
        for kind in ("requests", "limits"):
            found = {name: value for name, value in main["resources"][kind].items() if "storage" not in name}
            before = asked[labels[names.TEAM]].setdefault(labels[names.DATASET], found)
            assert found == before

    async def scenario() -> None:
        phase = {"name": "practice", "datasets": ["ds-d"], "budget": {"seconds": 30}, "repeats": 3}
        hackathon = Hackathon(phases=[{**phase, "resources": {"profiles": PROFILES}}])
        hackathon.server.listeners.append(note)

        async def whole(_: Service) -> None:
            for team in asked:
                hackathon.submit(team, "one")
            for team in asked:
                await hackathon.ended(team, "one", 900)

        await hackathon.operate(whole)

    run(scenario())
    assert asked["red"] == asked["blue"]
    assert list(asked["red"]) == ["d", "d.2", "d.3"]
    drawn = list(asked["red"].values())
    assert all(profile in drawn for profile in ASKED), drawn
