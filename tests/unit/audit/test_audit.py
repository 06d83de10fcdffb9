"""What is as it was made holds; whatever is changed, added or taken away is named."""

from __future__ import annotations

from alcove_audit.audit import PhaseAudit
from alcove_audit.findings import AuditReport, Check
from tests.unit.audit.world import World, play


def audit(world: World) -> AuditReport:
    report = AuditReport()
    PhaseAudit(world.source, world.state, report).check_phase()
    return report


def test_what_is_as_it_was_made_holds() -> None:
    report = audit(play())
    assert report.findings == []
    assert {check for check in Check if not report.checked[check]} == {Check.ARCHIVE}
    gone = "no head in the status"
    assert dict(report.left_out) == {(Check.HEAD, gone): 2}, "of the Submission that was deleted"
