"""``alcove manage``: from a spec to the patch that an organizer's decision is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from alcove_api.decisions import Cancellation, Exclusion, ExtraSubmissions
from alcove_cli import decide
from alcove_cli.errors import CommandError
from tests.unit.operator_wiring.memory_server import MemoryServer

SPEC: dict[str, Any] = {
    "phases": [
        {"name": "practice"},
        {"name": "final", "closesAt": "2027-03-08T00:00:00Z", "revealsAt": "2027-03-20T00:00:00Z"},
    ],
    "excluded": [{"team": "red", "submission": "first", "reason": "Leaked"}],
}
NOW = datetime(2027, 3, 1, tzinfo=UTC)


def test_an_entry_is_added_and_taken_out_again() -> None:
    entry = decide.read_entry(Exclusion, team="red", submission=None, phase="final", reason="Two accounts")
    (patch,) = decide.add_entry(SPEC, entry)
    assert patch["path"] == "/spec/excluded"
    assert patch["value"] == [*SPEC["excluded"], {"team": "red", "phase": "final", "reason": "Two accounts"}]
    (back,) = decide.remove_exclusion({**SPEC, "excluded": patch["value"]}, "red", None, "final")
    assert back["value"] == SPEC["excluded"]


def test_what_is_wrong_is_refused_with_what_there_is() -> None:
    again = decide.read_entry(Exclusion, team="red", submission="first", phase=None, reason="Another")
    with pytest.raises(CommandError, match="such an entry already"):
        decide.add_entry(SPEC, again)
    with pytest.raises(CommandError, match="Left out: red/first"):
        decide.remove_exclusion(SPEC, "red", None, None)
    with pytest.raises(CommandError, match="no phase finale"):
        decide.add_entry(SPEC, decide.read_entry(Exclusion, team="red", phase="finale", reason="x"))
    with pytest.raises(CommandError, match="reason cannot be"):
        decide.read_entry(Cancellation, team="red", submission="first", reason="two\nlines")
    more = decide.read_entry(ExtraSubmissions, team="red", count=1, reason="Down")
    twice = decide.add_entry(
        {**SPEC, "extraSubmissions": [{"team": "red", "count": 1, "reason": "Down"}]}, more
    )
    assert len(twice[0]["value"]) == 2, "what is given back twice is not one place"


def test_a_phase_is_extended_where_it_is_even_if_the_list_changes_meanwhile() -> None:
    patch = decide.extend_phase(SPEC, "final", datetime(2027, 3, 10, tzinfo=UTC), NOW)
    assert patch == [
        {"op": "test", "path": "/spec/phases/1/name", "value": "final"},
        {"op": "add", "path": "/spec/phases/1/closesAt", "value": "2027-03-10T00:00:00Z"},
    ]


@pytest.mark.parametrize(
    ("phase", "until", "said"),
    [
        ("practice", datetime(2027, 3, 10, tzinfo=UTC), "open without end"),
        ("final", datetime(2027, 3, 7, tzinfo=UTC), "not before"),
        ("final", datetime(2027, 3, 21, tzinfo=UTC), "Move revealsAt first"),
        ("other", datetime(2027, 3, 21, tzinfo=UTC), "Its phases: practice, final"),
    ],
)
def test_what_is_no_extension_is_refused(phase: str, until: datetime, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        decide.extend_phase(SPEC, phase, until, NOW)
    with pytest.raises(CommandError, match="has passed"):
        decide.extend_phase(
            SPEC, "final", datetime(2027, 3, 9, tzinfo=UTC), datetime(2027, 3, 10, tzinfo=UTC)
        )


def cluster() -> MemoryServer:
    """Team red with a submission, that one's rerun in a blind final, and a baseline."""
    found = MemoryServer(lambda: NOW)
    labels = {"alcove.dev/competition": "hack.cup"}
    found.put("namespaces", "", {"metadata": {"name": "red", "labels": labels}})
    found.put("namespaces", "", {"metadata": {"name": "hack"}})
    spec = {"competition": {"namespace": "hack", "name": "cup"}}
    again = {**spec, "rerunOf": {"team": "red", "submission": "first", "uid": "u"}}
    found.put("submissions", "red", {"metadata": {"name": "first"}, "spec": spec})
    found.put("submissions", "hack", {"metadata": {"name": "final.red"}, "spec": again})
    found.put("submissions", "hack", {"metadata": {"name": "linear"}, "spec": spec})
    return found


@pytest.mark.parametrize(
    ("team", "submission", "where"),
    [
        ("red", "first", "red"),
        ("red", "final.red", "hack"),
        ("hack", "linear", "hack"),
    ],
)
def test_what_is_decided_about_is_found_before_the_reveal_too(team: str, submission: str, where: str) -> None:
    assert decide.find_namespace(cluster(), "hack/cup", team, submission) == where
    decide.find_namespace(cluster(), "hack/cup", team)


@pytest.mark.parametrize(
    ("team", "submission", "said"),
    [
        ("green", "first", "not the namespace of a team"),
        ("red", "linear", "no Submission of red that is called linear.*-n red.*-n hack"),
        ("hack", "final.red", "no Submission of hack that is called final.red"),
    ],
)
def test_what_is_not_there_is_not_decided_about(team: str, submission: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        decide.find_namespace(cluster(), "hack/cup", team, submission)


def test_baselines_have_no_quota_to_give_back() -> None:
    decide.check_team(cluster(), "red")
    with pytest.raises(CommandError, match="not the namespace of a team"):
        decide.check_team(cluster(), "hack")
