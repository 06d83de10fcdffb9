"""Bytes by prefix, and what of them is told while a phase is blind."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from alcove_api import keys
from alcove_operator.core.model import SubmissionView
from alcove_operator.core.store_use import StoreUse, find_hidden
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
    assert told(use, []) == {**dict.fromkeys(EACH, 0), "boards": 100, "ladders": 100}
    assert told(use, [], REVEAL) == EACH


def test_code_that_is_in_a_phase_that_is_shown_too_is_told() -> None:
    use = StoreUse()
    use.add(keys.code(digest_of("both")), 100)
    assert told(use, [in_final("secret", "both")]) == {"code": 0}
    assert told(use, [in_final("secret", "both"), submission("seen", code="both")]) == {"code": 100}


def test_other_data_and_uploads_belong_to_no_phase() -> None:
    use = StoreUse()
    use.add(keys.dataset_manifest("d" * 64), 3)
    use.add_upload(keys.team_bundle("red", digest_of("waits")), 4)
    assert told(use, []) == {"data": 3, "bundles": 4}
