"""What is as it was made holds; whatever is changed, added or taken away is named."""

from __future__ import annotations

import pytest

from alcove_api import keys
from alcove_api.origin import Origin, creation_time
from alcove_audit.audit import PhaseAudit
from alcove_audit.findings import AuditReport, Check
from tests.unit.audit.world import TEAMS, World, play


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


def prune(world: World) -> list[str]:
    """Takes away what retention would of the Submission that does not count, whose code counts under another name."""
    prefix = f"runs/{world.submissions[0]['metadata']['uid']}/"
    gone = [k for k in world.objects if k.startswith(prefix) and ("/snap/" in k or k.endswith("log.txt"))]
    for key in gone:
        del world.objects[key]
    return gone


def test_what_retention_has_deleted_is_said_and_is_no_damage() -> None:
    world = play()
    gone = prune(world)
    at = dict.fromkeys(("snapshots", "logs"), "2026-12-24T10:00:00Z")
    world.submissions[0]["status"]["pruned"] = at
    report = audit(world)
    assert report.findings == []
    when = "deleted by the competition's retention on 2026-12-24"
    assert report.left_out[Check.PREDICTION, when] == sum("/snap/" in key for key in gone)
    assert report.left_out[Check.OUTPUT, when] == sum(key.endswith("log.txt") for key in gone)
    assert report.left_out[Check.SCORE, f"predictions were {when}"] == 4, "two runs by two settings"


def test_code_that_retention_has_deleted_is_said_too() -> None:
    world = play()
    status = world.submission(TEAMS[1])["status"]
    del world.objects[keys.code(status["codeSha256"])]
    assert [finding.check for finding in audit(world).findings] == [Check.CODE]
    status["pruned"] = {"bundle": "2026-12-24T10:00:00Z"}
    report = audit(world)
    assert report.findings == []
    assert report.left_out[Check.CODE, "deleted by the competition's retention on 2026-12-24"] == 1


def test_the_same_objects_are_missing_where_the_status_says_nothing_of_it() -> None:
    world = play()
    gone = prune(world)
    assert {finding.key for finding in audit(world).findings} >= set(gone)


def test_copies_of_output_for_the_team_are_no_added_objects() -> None:
    world = play()
    raw = world.submissions[0]
    team, uid = raw["metadata"]["namespace"], raw["metadata"]["uid"]
    world.objects[keys.team_log(team, uid, "d-digits")] = b"epoch 1\nepoch 2\n"
    assert audit(world).findings == []
    world.objects[keys.team_log(team, "0" * 8, "d-digits")] = b"forged"
    assert len(audit(world).findings) == 1
