"""What the audit list has of a competition is told by Events too, though the operator may die in between."""

from __future__ import annotations

import asyncio

from alcove_operator.announce import Announcer
from alcove_operator.audit_list import AuditList
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
