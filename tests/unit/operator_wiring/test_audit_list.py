"""What the audit list has of a competition is told by Events too, though the operator may die in between."""

from __future__ import annotations

import asyncio
from typing import Any

from alcove_kube.resources import COMPETITIONS
from alcove_operator.announce import Announcer
from alcove_operator.audit_list import AuditList
from alcove_operator.core.decisions import DECISIONS
from alcove_operator.index import WorkKey
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run, wait_until


def test_a_change_that_was_listed_before_a_crash_is_told_though_another_came_since() -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        server, cup = hackathon.server, ("competitions", HACK, CUP)

        def start() -> AuditList:
            return AuditList(hackathon.api, hackathon.store, Announcer(hackathon.api, "operator"))

        async def update(audit: AuditList) -> None:
            meta = server.objects[cup]["metadata"]
            await audit.update(HACK, CUP, meta["uid"], meta["generation"])

        def told() -> list[str]:
            return [raw["note"] for (plural, *_), raw in server.objects.items() if plural == "events"]

        first = start()
        await update(first)
        hackathon.change_spec(*cup, title="One")
        hackathon.api.fate = lambda _verb, resource: Fate(before=9e9 if resource.plural == "events" else 0)
        dying = asyncio.create_task(update(first))
        await wait_until("the entry", lambda: len(hackathon.store.changes) == 2, 60)
        dying.cancel()
        hackathon.api.fate = lambda _verb, _resource: Fate()
        assert told() == []
        hackathon.change_spec(*cup, title="Two")
        second = start()
        await update(second)
        assert [note.split(",")[0] for note in told()] == ["spec.title: new", 'spec.title: "Two"']
        await update(second)
        assert len(told()) == 2
        assert len(hackathon.store.changes) == 3

    run(scenario())


def test_a_decision_is_listed_before_it_is_seen_to_have_taken_effect() -> None:
    """Whoever sees it may take it back at once: of two specs that are alike nothing could be told."""

    async def scenario() -> None:
        hackathon = Hackathon()
        service, cup, key = (
            hackathon.service(),
            ("competitions", HACK, CUP),
            WorkKey("competition", HACK, CUP),
        )
        await service.start()
        await service.competitions.work(key)
        hackathon.change_spec(*cup, excluded=[{"team": "nobody", "reason": "A typo"}])
        service.index.apply(COMPETITIONS, hackathon.server.objects[cup])
        listed: list[list[str]] = []

        def listen(plural: str, raw: dict[str, Any], _gone: bool) -> None:
            conditions = raw.get("status", {}).get("conditions", []) if plural == "competitions" else []
            if any(c["type"] == DECISIONS and c["status"] == "False" for c in conditions):
                listed.append([c.kind for entry in hackathon.store.changes for c in entry.changes])

        hackathon.server.listeners.append(listen)
        await service.competitions.work(key)
        assert listed == [["Excluded"]]

    run(scenario())
