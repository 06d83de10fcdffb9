"""What a Submission's status says as a whole."""

from __future__ import annotations

from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_operator.core import status as statuses

WAITS = "Number 3 in the queue: all 4 places are taken."


def cause(*runs: RunStatus) -> str:
    return statuses.summarize(SubmissionStatus(phase="Queued", runs=runs)).cause


def test_the_cause_is_a_place_in_the_queue_only_while_nothing_runs() -> None:
    queued = RunStatus(dataset="news", message=WAITS)
    assert cause(RunStatus(dataset="digits", message=WAITS), queued) == WAITS
    assert cause(RunStatus(dataset="digits", attempt=1, phase="Running"), queued) == ""
    assert (
        cause(RunStatus(dataset="digits", attempt=1, phase="Scoring", cause="Finished"), queued) == "Finished"
    )
