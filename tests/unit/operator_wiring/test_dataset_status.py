"""What a check found, as people see it in a Dataset."""

from __future__ import annotations

from datetime import UTC, datetime

from alcove_api.dataset import DatasetStatus
from alcove_api.documents import CheckResult
from alcove_operator.datasets import build_status

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SOUND = CheckResult(
    ok=True, n_train=7, n_test=5, n_labels=2, bytes=99, chance_score=0.5, linear_score=0.87654321
)


def test_scores_and_counts_of_a_sound_dataset() -> None:
    status = build_status(SOUND, 3, DatasetStatus(), NOW)
    assert (status.n_train, status.chance_score, status.linear_score) == (7, 0.5, 0.8765)
    assert (status.conditions[0].status, status.conditions[0].message) == (
        "True",
        "Data and solution were checked.",
    )


def test_warnings_are_told_without_holding_it_up() -> None:
    warnings = ("Ids run from 5 to 9.", "Train is sorted.")
    status = build_status(SOUND.model_copy(update={"warnings": warnings}), 3, DatasetStatus(), NOW)
    assert status.warnings == warnings
    ready = status.conditions[0]
    assert (ready.status, ready.message) == (
        "True",
        "Data and solution were checked. 2 warnings: Ids run from 5 to 9. Train is sorted.",
    )


def test_the_longest_result_fits_the_status() -> None:
    warnings = tuple(f"{i}" * 300 for i in range(6))
    status = build_status(SOUND.model_copy(update={"warnings": warnings}), 3, DatasetStatus(), NOW)
    assert len(status.conditions[0].message) == 1024
    refused = CheckResult(ok=False, problems=tuple("x" * 300 for _ in range(8)), warnings=warnings)
    ready = build_status(refused, 3, DatasetStatus(), NOW).conditions[0]
    assert ready.status == "False"
    assert "alcove dataset push" in ready.message
