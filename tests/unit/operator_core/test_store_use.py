"""Bytes by prefix, and what of them is told while a phase is blind."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from alcove_api import keys
from alcove_operator.core.model import SubmissionView
from alcove_operator.core.store_use import TEAMS, StoreUse, find_hidden, sum_shown_teams
from tests.unit.operator_core.test_retention import DAY, LATE, competition, digest_of, submission

REVEAL = LATE + DAY
FINAL = {"name": "final", "datasets": ["ds"], "budget": {"seconds": 20}, "revealsAt": REVEAL.isoformat()}
OF = competition(None, FINAL)


def in_final(name: str, code: str = "") -> SubmissionView:
    view = submission(name, code=code)
    assert view.spec is not None
    return replace(view, spec=view.spec.replace(phase="final"))


def add_all(use: StoreUse, uid: str, code: str, phase: str) -> None:
    """A hundred bytes under each prefix of what is one Submission's or one phase's."""
    prefix = keys.attempt_prefix(uid, "digits", 1, "pod")
    for key in (
        keys.snapshot(prefix, 0), keys.score_result(uid, "d"), keys.team_report("red", uid), keys.code(digest_of(code)),
        keys.board("comp", "cup", phase, "table.json"), keys.ladder("comp", "cup", phase, "d", "red", "digits") + "0",
    ):  # fmt: skip
        use.add(key, 100)


def told(use: StoreUse, views: list[SubmissionView], now: datetime = LATE) -> dict[str, int]:
    hidden = find_hidden(use, [OF], views, now)
    return {prefix: size.bytes for prefix, size in use.sum_prefixes(hidden).items()}


EACH = {"runs": 100, "scores": 100, "reports": 100, "code": 100, "boards": 100, "ladders": 100}


def test_bytes_of_a_blind_phase_are_told_from_its_reveal_on() -> None:
    use, views = StoreUse(), [submission("seen"), in_final("secret")]
    add_all(use, "red-seen", "seen", "practice")
    assert told(use, views) == EACH
    add_all(use, "red-secret", "secret", "final")
    assert told(use, views) == EACH
    assert told(use, views, REVEAL) == dict.fromkeys(EACH, 200)
    assert {name: size.bytes for name, size in use.sum_prefixes().items()} == dict.fromkeys(EACH, 200)


def test_what_is_deleted_may_have_been_of_the_blind_phase() -> None:
    use = StoreUse()
    add_all(use, "red-gone", "gone", "practice")
    assert told(use, []) == {"boards": 100, "ladders": 100}
    assert told(use, [], REVEAL) == EACH


def test_code_that_is_in_a_phase_that_is_shown_too_is_told() -> None:
    use = StoreUse()
    use.add(keys.code(digest_of("both")), 100)
    assert told(use, [in_final("secret", "both")]) == {}
    assert told(use, [in_final("secret", "both"), submission("seen", code="both")]) == {"code": 100}


def test_other_data_belong_to_no_phase() -> None:
    use = StoreUse()
    use.add(keys.dataset_manifest("d" * 64), 3)
    assert told(use, []) == {"data": 3}


def test_what_waits_for_admission_may_be_of_the_blind_phase() -> None:
    use = StoreUse()
    use.add_upload(keys.team_bundle("red", digest_of("secret")), 100)
    use.add_upload(keys.shared_archive("red", 1), 30)
    assert told(use, []) == {"shared": 30}
    assert told(use, [], REVEAL) == {"bundles": 100, "shared": 30}
    assert sum_shown_teams(use, OF, [submission("seen")], LATE, blind=True) == {}
    assert sum_shown_teams(use, OF, [submission("seen")], LATE, blind=False) == {"red": 130}


def test_a_team_is_told_of_by_what_it_has_in_phases_that_are_shown() -> None:
    use, secret = StoreUse(), in_final("secret", "both")
    add_all(use, "red-secret", "both", "final")
    assert sum_shown_teams(use, OF, [secret], LATE, blind=True) == {}
    assert sum_shown_teams(use, OF, [secret], REVEAL, blind=False) == {"red": 400}
    # The code is in a later Submission of another team too, and is counted with that as if there were no other.
    seen = submission("seen", at=1, team="blue", code="both")
    assert sum_shown_teams(use, OF, [secret, seen], LATE, blind=True) == {"blue": 100}


def test_the_teams_that_have_most_are_told_of() -> None:
    use, views = StoreUse(), [submission("one", team=f"t{number:04}") for number in range(2000)]
    for number, view in enumerate(views):
        use.add(keys.score_result(view.uid, "d"), number + 1)
    found = sum_shown_teams(use, OF, views, LATE, blind=True)
    assert found == {f"t{number - 1:04}": number for number in range(2000, 2000 - TEAMS, -1)}
