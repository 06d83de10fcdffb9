"""The one way to change a model: names and values are checked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from alcove_api.score_documents import Feedback
from alcove_api.submission import RunStatus, SubmissionStatus

REPOSITORY = Path(__file__).parents[3]
SHIPPED = ("crds", "operator", "scorer", "datasets", "images", "cli")
RUN = RunStatus(dataset="digits", queued_at=datetime(2026, 1, 6, tzinfo=UTC))


def test_only_the_named_fields_change() -> None:
    status = SubmissionStatus(phase="Queued", runs=(RUN,))
    changed = status.replace(phase="Running")
    assert changed == SubmissionStatus(phase="Running", runs=(RUN,))
    assert changed.runs[0] is RUN
    assert status.phase == "Queued"
    assert changed.model_fields_set == {"phase", "runs"}


@pytest.mark.parametrize("model", [RUN, Feedback()], ids=["status", "document"])
def test_a_misspelt_field_is_an_error(model: RunStatus | Feedback) -> None:
    with pytest.raises(TypeError, match=r"has no field attempts, chargedTo"):
        model.replace(chargedTo="Platform", attempts=2)


def test_a_wrong_value_is_an_error() -> None:
    with pytest.raises(ValidationError, match="phase"):
        RUN.replace(phase="Over")
    with pytest.raises(ValidationError, match="message"):
        RUN.replace(message="x" * 1025)


def test_shipped_code_changes_models_in_no_other_way() -> None:
    files = [file for folder in SHIPPED for file in (REPOSITORY / folder).rglob("*.py")]
    unchecked = [
        str(file.relative_to(REPOSITORY))
        for file in files
        if "model_copy(" in file.read_text() or "model_construct(" in file.read_text()
    ]
    assert len(files) > 100
    assert unchecked == []
