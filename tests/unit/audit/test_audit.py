"""What is as it was made holds; whatever is changed, added or taken away is named."""

from __future__ import annotations

import pytest

from alcove_api.origin import Origin, creation_time
from alcove_audit.audit import PhaseAudit
from alcove_audit.findings import AuditReport, Check
from tests.unit.audit.world import World, play


def move(world: World) -> World:
    """Into a cluster where each object has another UID and was made later."""
    for number, raw in enumerate((world.competition, *world.submissions)):
        first = Origin(uid=raw["metadata"]["uid"], created_at=creation_time(raw), generation=1)
        raw.setdefault("status", {})["origin"] = first.model_dump(mode="json", by_alias=True)
        raw["metadata"] |= {"uid": f"moved-{number}", "creationTimestamp": "2040-01-01T00:00:00Z"}
    return world


def audit(world: World) -> AuditReport:
    report = AuditReport()
    PhaseAudit(world.source, world.state, report).check_phase()
    return report


@pytest.mark.parametrize("mode", ["final", "ladder"])
def test_what_is_as_it_was_made_holds(mode: str) -> None:
    report = audit(play(mode))
    assert report.findings == []
    unused = {Check.ARCHIVE} if mode == "ladder" else {Check.ARCHIVE, Check.LADDER}
    assert {check for check in Check if not report.checked[check]} == unused
    gone = "no head in the status"
    assert dict(report.left_out) == {(Check.HEAD, gone): 2}, "of the Submission that was deleted"


def test_what_was_moved_holds() -> None:
    stayed, moved = audit(play()), audit(move(play()))
    assert moved.findings == []
    assert moved.checked == stayed.checked
