"""What is as it was made holds; whatever is changed, added or taken away is named."""

from __future__ import annotations

import pytest

from alcove_audit.audit import PhaseAudit
from alcove_audit.findings import AuditReport, Check
from tests.unit.audit.world import World, play


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
