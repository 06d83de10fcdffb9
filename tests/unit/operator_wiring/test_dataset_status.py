"""What a check found, as people see it in a Dataset."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from alcove_api.dataset import RECHECK, DatasetStatus
from alcove_api.documents import CheckResult
from alcove_kube.resources import DATASETS
from alcove_operator.datasets import build_status, job_name
from alcove_operator.index import Index
from alcove_operator.records import DatasetRecord

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SOUND = CheckResult(
    ok=True, n_train=7, n_test=5, n_labels=2, bytes=99, chance_score=0.5, linear_score=0.87654321
)


def record(**changes: Any) -> DatasetRecord:
    """A Dataset as it comes from the API server."""
    digests = {"alias": "digits", "dataSha256": "a" * 64, "solutionSha256": "b" * 64}
    raw: dict[str, Any] = {
        "metadata": {"name": "set", "namespace": "hack", "uid": "u", "generation": 3, "resourceVersion": "7"},
        "spec": digests,
    }
    raw["metadata"]["annotations"] = changes.pop("annotations", {})
    raw["spec"] |= changes.pop("spec", {})
    index = Index()
    index.apply(DATASETS, raw | changes)
    return index.datasets["hack", "set"]


def status_of(result: CheckResult, **changes: Any) -> DatasetStatus:
    return build_status(result, record(**changes), "hack", NOW)


def test_scores_and_counts_of_a_sound_dataset() -> None:
    status = status_of(SOUND)
    assert (status.n_train, status.chance_score, status.linear_score) == (7, 0.5, 0.8765)
    assert (status.conditions[0].status, status.conditions[0].message) == (
        "True",
        "Data and solution were checked.",
    )


def test_warnings_are_told_without_holding_it_up() -> None:
    warnings = ("Ids run from 5 to 9.", "Train is sorted.")
    status = status_of(SOUND.replace(warnings=warnings))
    assert status.warnings == warnings
    ready = status.conditions[0]
    assert (ready.status, ready.message) == (
        "True",
        "Data and solution were checked. 2 warnings: Ids run from 5 to 9. Train is sorted.",
    )


def test_the_longest_result_fits_the_status() -> None:
    warnings = tuple(f"{i}" * 300 for i in range(6))
    status = status_of(SOUND.replace(warnings=warnings))
    assert len(status.conditions[0].message) == 1024
    refused = CheckResult(ok=False, problems=tuple("x" * 300 for _ in range(8)), warnings=warnings)
    ready = status_of(refused).conditions[0]
    assert ready.status == "False"
    assert "alcove dataset push" in ready.message


def test_what_is_refused_says_how_it_is_repaired() -> None:
    refused = CheckResult(ok=False, problems=("The file train/sample is damaged.",))
    again = "`alcove dataset recheck set -n hack`"
    stored = status_of(refused).conditions[0].message
    assert "`alcove dataset push` and apply the Dataset that it prints" in stored
    assert again in stored
    volume = status_of(refused, spec={"volumeClaim": {"claimName": "clips"}}).conditions[0].message
    assert "push" not in volume
    assert again in volume


def test_a_request_to_check_again_is_answered_once() -> None:
    """The same digests, so nothing else tells that the store's files were repaired."""
    answered = status_of(SOUND).model_dump(mode="json", by_alias=True)
    assert record(status=answered).view.ready
    for value in ("2027-01-01", "x" * 1000):
        asked = {"annotations": {RECHECK: value}}
        again = record(status=answered, **asked)
        assert again.view.ready is None
        assert job_name(again) != job_name(record(status=answered))
        ended = status_of(SOUND, **asked)
        assert record(status=ended.model_dump(mode="json", by_alias=True), **asked).view.ready
        # `kubectl apply` of a file without it takes nothing back.
        assert record(status=ended.model_dump(mode="json", by_alias=True)).view.ready
