"""What a Submission's status says as a whole."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_operator.core import status as statuses
from alcove_operator.core.run_ends import HIDDEN
from tests.unit.operator_core.cluster import START

WAITS = "Place 3 in the queue: all 4 places are taken."


def cause(*runs: RunStatus) -> str:
    return statuses.summarize(SubmissionStatus(phase="Queued", runs=runs), blind=False).cause


def test_the_cause_is_a_place_in_the_queue_only_while_nothing_runs() -> None:
    queued = RunStatus(dataset="news", message=WAITS)
    assert cause(RunStatus(dataset="digits", message=WAITS), queued) == "Place 3"
    assert cause(RunStatus(dataset="digits", message="The dataset digits is being checked.")) == "Waiting"
    assert cause(RunStatus(dataset="digits", attempt=1, phase="Running"), queued) == ""
    assert (
        cause(RunStatus(dataset="digits", attempt=1, phase="Scoring", cause="Finished"), queued) == "Finished"
    )


def done(dataset: str, alc: float | None, cause: str = "Finished", message: str = "") -> RunStatus:
    return RunStatus(
        dataset=dataset, attempt=1, phase="Done", alc=alc, cause=cause, message=message, snapshots=14, started_at=START,
        ended_at=START + timedelta(seconds=31),
    )  # fmt: skip


def test_what_tables_show_of_several_runs() -> None:
    crashed = done("news", None, "ExitCode", "The program ended with status 1. Last output:\nTraceback")
    shown = statuses.write_tables(
        SubmissionStatus(runs=(done("digits", 0.8), done("audio", 0.6), crashed)), 4
    )
    assert shown.score == "0.7000"
    assert shown.scores == "digits 0.80, audio 0.60…"
    assert shown.message == "news: The program ended with status 1."
    assert shown.overview == (
        "digits: Done, ALC 0.8000, 14 predictions, 31 s, Finished",
        "audio: Done, ALC 0.6000, 14 predictions, 31 s, Finished",
        "news: Done, 14 predictions, 31 s, ExitCode",
    )


def test_a_run_that_ended_well_has_no_message_in_a_table_whatever_it_printed() -> None:
    printed = [done(name, 0.8, message="Last output:\nepoch 9") for name in ("digits", "news")]
    for runs in (printed, printed[:1]):
        assert statuses.write_tables(SubmissionStatus(runs=tuple(runs)), 2).message == ""


def test_one_score_is_not_shown_twice() -> None:
    shown = statuses.write_tables(SubmissionStatus(runs=(done("digits", 0.8),)), 2)
    assert (shown.score, shown.scores, shown.message) == ("0.80", "", "")


@given(
    st.lists(
        st.tuples(st.none() | st.floats(0, 1) | st.floats(-1e300, 1e6), st.text(max_size=300)),
        min_size=1,
        max_size=64,
    ),
    st.integers(0, 6),
)
def test_tables_stay_narrow(runs: list[tuple[float | None, str]], decimals: int) -> None:
    made = tuple(done(f"dataset-{i}", alc, "ExitCode", message) for i, (alc, message) in enumerate(runs))
    shown = statuses.write_tables(SubmissionStatus(runs=made), decimals)
    assert len(shown.score) <= 16
    assert len(shown.scores) <= statuses.SCORES
    assert len(shown.message) <= statuses.MESSAGE
    assert "\n" not in shown.message


def test_nothing_blind_is_in_a_table() -> None:
    status = statuses.redact(
        SubmissionStatus(phase="Done", runs=(done("digits", 0.8, message="Secret."),)), {}
    )
    shown = statuses.write_tables(status, 4)
    assert (shown.score, shown.scores, shown.message) == ("", "", HIDDEN)
    assert shown.overview == ("digits: Done, Finished",)
