"""The Submission's status as a whole: conditions, summary, and what a phase's feedback lets be seen."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Literal

from alcove_api.run_documents import commit_head
from alcove_api.run_names import alias_of
from alcove_api.score_text import format_score
from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_api.words import count_of
from alcove_operator.core import conditions
from alcove_operator.core.actions import Emit
from alcove_operator.core.conditions import ConditionValue, find_condition
from alcove_operator.core.model import DatasetView
from alcove_operator.core.run_ends import HIDDEN, OVER

ADMITTED, SCORED, COMPLETE = "Admitted", "Scored", "Complete"
ENDED = frozenset({"Done", "Failed", "Rejected"})
_MILD = ("", "Finished", "DeadlineReached", "NoPredictions")
_PAYERS = ("Platform", "Organizer", "Participant", "")


def set_condition(
    status: SubmissionStatus, kind: str, value: ConditionValue, now: datetime
) -> SubmissionStatus:
    """The status with one condition set; the same object where that changes nothing."""
    generation = status.observed_generation
    found = conditions.set_condition(status.conditions, kind, value, generation=generation, now=now)
    return status if found is status.conditions else status.replace(conditions=found)


def redact(status: SubmissionStatus, datasets: Mapping[str, DatasetView]) -> SubmissionStatus:
    """Without what a blind phase must not show, durations among it. What the reconciler needs to go on stays:
    attempt, pod, cause and whether a run is over. ``datasets``: by alias."""
    hidden = tuple(_hidden(run, datasets.get(alias_of(run.dataset))) for run in status.runs)
    return status.replace(runs=hidden)


def _hidden(run: RunStatus, dataset: DatasetView | None) -> RunStatus:
    commitment = run.head_commitment
    if run.head and dataset is not None:
        commitment = commit_head(run.head, dataset.solution_sha256)
    return RunStatus(
        dataset=run.dataset,
        attempt=run.attempt,
        pod_uid=run.pod_uid,
        phase=run.phase if run.phase in OVER or run.attempt == 0 else "Pending",
        cause=run.cause,
        charged_to=run.charged_to,
        queued_at=run.queued_at,
        points_shown=run.points_shown,
        message=HIDDEN if run.attempt else run.message,
        head_commitment=commitment,
    )


def summarize(status: SubmissionStatus, blind: bool) -> SubmissionStatus:
    """Phase, progress and cause, from what is shown of the runs. ``blind``: without the progress."""
    runs = status.runs
    over = sum(run.phase in OVER for run in runs)
    worst = _worst(runs)
    return status.replace(
        phase=_phase(status, over),
        progress="" if blind else f"{over}/{len(runs)}",
        cause=worst.cause if worst else _shorten(_reason_to_wait(runs)),
    )


def write_tables(status: SubmissionStatus, decimals: int) -> SubmissionStatus:
    """What tables show, from what the status holds: so it shows no more than that."""
    runs = status.runs
    known = [run.alc for run in runs if run.alc is not None]
    worst = _worst(runs)
    about = cut_line(worst.message, MESSAGE) if worst else _reason_to_wait(runs)
    if worst and len(runs) > 1 and about:
        about = f"{worst.dataset}: {about}"
    scores = _list_scores(runs, decimals) if known else ""
    return status.replace(
        score=format_score(sum(known) / len(known), decimals) if known else "",
        scores=scores,
        message=cut_line(about, MESSAGE),
        overview=tuple(_describe(run, decimals) for run in runs),
    )


SCORES, MESSAGE = 30, 44
"""Characters of these two columns, for a table of at most 160 with ``-o wide``."""


def _list_scores(runs: Sequence[RunStatus], decimals: int) -> str:
    """By dataset, where there are several, the mean over the repeats; rounded further than the runs' own, for there is
    little room."""
    found: defaultdict[str, list[float | None]] = defaultdict(list)
    for run in runs:
        found[alias_of(run.dataset)].append(run.alc)
    if len(found) == 1:
        return ""
    places = min(2, decimals)
    means = {
        alias: None if None in alcs else fmean(a for a in alcs if a is not None)
        for alias, alcs in found.items()
    }
    shown = (
        f"{alias} {'–' if mean is None else format_score(mean, places)}" for alias, mean in means.items()
    )
    return cut_line(", ".join(shown), SCORES)


def _describe(run: RunStatus, decimals: int) -> str:
    """One line: dataset, how far it is, score, predictions, time, cause."""
    parts: list[str] = [run.phase]
    if run.alc is not None:
        parts.append(f"ALC {format_score(run.alc, decimals)}")
    if run.snapshots:
        parts.append(count_of(run.snapshots, "prediction"))
    if run.started_at and run.ended_at:
        parts.append(f"{(run.ended_at - run.started_at).total_seconds():.0f} s")
    if run.cause:
        parts.append(run.cause)
    if run.attempt > 1:
        parts.append(f"attempt {run.attempt}")
    return f"{run.dataset}: {', '.join(parts)}"


_OUTPUT = re.compile(r"(^| )Last output:")
"""Where the program's own words begin in a run's message."""


def cut_line(text: str, most: int) -> str:
    """The first line of ``text``, at a word's end where it is too long."""
    line = _OUTPUT.split(text, 1)[0].partition("\n")[0].strip()
    if len(line) <= most:
        return line
    return line[: most - 1].rpartition(" ")[0].rstrip(".,:;") + "…"


def _shorten(waits: str) -> str:
    """ "Place 3" of "Place 3 in the queue: …"; any other reason to wait is too long for a column."""
    if not waits:
        return ""
    return " ".join(waits.split()[:2]) if waits.startswith("Place ") else "Waiting"


def _phase(status: SubmissionStatus, over: int) -> str:
    if status.phase in ENDED:
        return status.phase
    if over == len(status.runs):
        return "Scoring"
    return "Running" if any(map(_has_place, status.runs)) else "Queued"


def _has_place(run: RunStatus) -> bool:
    """Not one whose Job waits in a queue of Kueue, or its pod for a node."""
    return run.attempt > 0 and run.phase != "Queued"


def _worst(runs: Sequence[RunStatus]) -> RunStatus | None:
    caused = [run for run in runs if run.cause]
    if not caused:
        return None
    return min(
        caused,
        key=lambda run: (
            run.cause in _MILD,
            -_mildness(run.cause),
            _PAYERS.index(run.charged_to),
            run.dataset,
        ),
    )


def _mildness(cause: str) -> int:
    return _MILD.index(cause) if cause in _MILD else len(_MILD)


def _reason_to_wait(runs: Sequence[RunStatus]) -> str:
    """Why nothing of it runs yet; "" once something does, since a place in the queue would read as if all waited."""
    if any(map(_has_place, runs)):
        return ""
    return next((run.message for run in runs if run.message), "")


# Steps that Submissions go through within seconds: nothing that a user should read as news.
_IN_PASSING = ("CheckingCode", "Counting", "UploadAwaited")


def list_events(old: SubmissionStatus, new: SubmissionStatus) -> tuple[Emit, ...]:
    """One Event for each thing that a user would want to be told of, at the change that shows it.

    That it was admitted is none: the condition says it, with its time, and each Event is a write.
    """
    found = []
    was, now = find_condition(old.conditions, ADMITTED), find_condition(new.conditions, ADMITTED)
    rejected = new.phase == "Rejected" and old.phase != "Rejected"
    news = rejected or was is None or (now is not None and was.reason != now.reason)
    if now is not None and now.status != "True" and now.reason not in _IN_PASSING and news:
        # One that waited in vain is rejected for the reason that it was told before.
        key, said = ("/rejected", f"Rejected. {now.message}"[:1024]) if rejected else ("", now.message)
        found.append(Emit(f"event/admitted/{now.reason}{key}", "Warning", now.reason, said))
    before = {run.dataset: run for run in old.runs}
    for run in new.runs:
        past = before.get(run.dataset)
        if past is None:
            continue
        if run.attempt > past.attempt > 0:
            found.append(Emit(f"event/{run.dataset}/{run.attempt}", "Warning", "RunAgain", _about(run)))
        elif run.phase in OVER and past.phase not in OVER and run.cause not in ("", "Finished"):
            kind: Literal["Normal", "Warning"] = "Normal" if run.cause in _MILD else "Warning"
            found.append(Emit(f"event/{run.dataset}/over", kind, run.cause, _about(run)))
    scored, before_that = find_condition(new.conditions, SCORED), find_condition(old.conditions, SCORED)
    failed = scored is not None and scored.reason == "ScoringFailed"
    if scored is not None and failed and (before_that is None or before_that.reason != scored.reason):
        found.append(Emit(f"event/scoring/{scored.reason}", "Warning", scored.reason, scored.message))
    done = find_condition(new.conditions, COMPLETE)
    if done is not None and done != find_condition(old.conditions, COMPLETE):
        found.append(Emit("event/complete", "Normal", done.reason, done.message))
    return tuple(found)


def _about(run: RunStatus) -> str:
    return f"{run.dataset}: {run.message}"[:1024]


def normalize(status: SubmissionStatus) -> SubmissionStatus:
    """All times as fine as the API server keeps them, so that equal statuses compare as equal."""
    return SubmissionStatus.model_validate_json(status.model_dump_json(by_alias=True))
