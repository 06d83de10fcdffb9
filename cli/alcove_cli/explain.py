"""``alcove explain``: what became of a submission and what to do about it, in sentences. Pure, from its status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC

from alcove_api.score_documents import NO_PREDICTIONS
from alcove_api.submission import RunStatus, SubmissionSpec, SubmissionStatus
from alcove_kube.client import Object

OUTPUT = "Last output:\n"
"""Between what the operator says and the end of the program's own output, in a run's message."""
INDENT = "    "
_BEFORE_GO = ("Queued", "Pending", "Staging")
_RUNNER = re.compile(r"^\[alcove\] (model\.py imported|Model\(\) returned|train\(\) returned) ", re.MULTILINE)
_FRAME = re.compile(r'^\s*File "(?:.*/)?(?P<file>[^"/]+)", line (?P<line>\d+)')
_ERROR = re.compile(
    r"^(?P<kind>[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning))(?:: (?P<what>.*))?$"
)
_REFUSAL = re.compile(r"^\[alcove\] (?P<said>.*\bNothing was (?:run|saved)\b.*)$", re.MULTILINE)
"""The runner's own word on code that does not keep to the interface, such as a prediction of another shape."""
_STEPS = {
    "": ("The import of model.py", "Import less, or later: imports are charged."),
    "model.py imported": ("`Model.__init__`", "Do less in it."),
    "Model() returned": (
        "The first `train`",
        "Return from it often, with what was learned so far: compare the time with `remaining_time_budget`.",
    ),
    "train() returned": ("The first `test`", "Predict in batches, and with a smaller model first."),
}
"""By the last line of the runner's: what did not return, and what helps."""


def explain_submission(submission: Object) -> str:
    """Paragraphs for a terminal. ``submission``: as the API server has it."""
    meta, raw = submission["metadata"], submission["spec"]
    status = read_status(submission)
    spec = SubmissionSpec.model_validate(raw)
    where = f"phase {spec.phase} of {spec.competition.name}"
    head = f"{meta['namespace']}/{meta['name']}, {where}: {status.phase or 'not looked at yet'}."
    held_back = find_condition_reason(status, "Scored") == "HeldBack"
    parts = [head, *_explain_state(status), *(_explain_run(run, spec, held_back) for run in status.runs)]
    if status.phase in ("Done", "Failed"):
        if status.scoring_digest and not held_back:
            parts.append(f"Its page has more: alcove report {meta['name']} --team {meta['namespace']}")
        parts.append(explain_rank(status))
    return "\n\n".join(part for part in parts if part)


def read_status(submission: Object) -> SubmissionStatus:
    """Of a Submission as the API server returns it; empty before the operator has seen it."""
    return SubmissionStatus.model_validate(submission.get("status") or {})


def explain_rank(status: SubmissionStatus) -> str:
    if status.rank is not None:
        place = status.place.replace("=", " (shared)").replace("/", " of ") or str(status.rank)
        return f"Your team's rank is {place}, by this submission."
    # Before the reveal no status has a score, but only one that has a score is Done.
    if status.phase == "Done" and find_condition_reason(status, "Scored") == "HeldBack":
        return "Scores and ranks of this phase are shown from its reveal on."
    if status.excluded:
        return f"The organizer has left it out of the board: {status.excluded.rstrip('.')}."
    if all(run.alc is None for run in status.runs):
        return "It has no score, so it gives your team no rank."
    return (
        "It has no rank: another submission of your team counts in this phase, or the board is not made yet."
    )


def find_condition_reason(status: SubmissionStatus, kind: str) -> str:
    """ "" where there is no such condition."""
    return next((c.reason for c in status.conditions if c.type == kind), "")


def _message(status: SubmissionStatus, kind: str) -> str:
    return next((c.message for c in status.conditions if c.type == kind), "")


def _explain_state(status: SubmissionStatus) -> Iterator[str]:
    admitted = _message(status, "Admitted")
    if not status.phase and not admitted:
        yield "If nothing changes within a minute, the operator is not running: tell the organizer."
    elif not status.phase:
        yield f"It is not admitted yet. {admitted}"
    elif status.phase == "Rejected":
        yield f"Why: {admitted} It was not run, and uses up no quota."
    elif status.phase in ("Done", "Failed"):
        yield _message(status, "Complete")
        scored = _message(status, "Scored")
        if scored not in ("", "Scored."):
            yield scored


def _explain_run(run: RunStatus, spec: SubmissionSpec, held_back: bool) -> str:
    said, _, output = run.message.partition(OUTPUT)
    lines = [f"{run.dataset}: {_held_back_figures(run) if held_back else _figures(run)}"]
    lines += [INDENT + line for line in _explain_times(run)]
    lines += [INDENT + line for line in _explain_cause(run, spec, said.strip(), output)]
    if output.strip():
        lines.append(f"{INDENT}The end of its output:")
        lines += [f"{INDENT}  {line}" for line in output.strip().splitlines()]
    return "\n".join(lines)


def _held_back_figures(run: RunStatus) -> str:
    """All that is known before the reveal: the numbers of predictions and the times are not."""
    return {"Done": "it has a score.", "Failed": "no score."}.get(run.phase, f"{run.phase}.")


def _figures(run: RunStatus) -> str:
    if run.phase not in ("Done", "Failed"):
        seen = f", {_count(run.snapshots, 'prediction')} so far" if run.snapshots else ""
        return f"{run.phase}{seen}."
    score = f"ALC {run.alc:g}" if run.alc is not None else "no score"
    took = (
        f" in {(run.ended_at - run.started_at).total_seconds():.0f} s"
        if run.started_at and run.ended_at
        else ""
    )
    return f"{score}, {_count(run.snapshots, 'prediction')}{took}."


def _explain_times(run: RunStatus) -> Iterator[str]:
    """When it queued, and how long it waited for its go, which is free. Nothing where the phase hides times."""
    if run.queued_at is None:
        return
    queued = f"It queued at {run.queued_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if run.started_at is None:
        # A run of a blind phase has started without a time that is shown.
        yield f"{queued} and has not started." if run.phase in _BEFORE_GO else f"{queued}."
        return
    waited = (run.started_at - run.queued_at).total_seconds()
    again = f" It is attempt {run.attempt}." if run.attempt > 1 else ""
    free = ""
    if run.free_seconds is not None:
        free = f", nor are the {run.free_seconds:.1f} s of import and constructor before it"
    yield f"{queued}. Its go was {waited:.0f} s later: the queue, pulling and staging are not charged{free}.{again}"
    if waits := ", ".join(_list_waits(run)):
        yield f"It waited {waits}."


def _list_waits(run: RunStatus) -> Iterator[str]:
    """Between queue and go, as the report's bar has them. Some are in whole seconds, rounded down, and may overlap."""
    before = run.queued_at
    ends = (
        (run.pulled_at, "a place and a node"), (run.staged_at, "data and code"), (run.launched_at, "the image"),
        (run.started_at, "the go"),
    )  # fmt: skip
    for at, what in ends if run.launched_at is not None else ():
        if at is not None and before is not None:
            yield f"{max(0.0, (at - before).total_seconds()):.0f} s for {what}"
            before = max(at, before)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _explain_cause(run: RunStatus, spec: SubmissionSpec, said: str, output: str) -> Iterator[str]:
    if run.cause in ("", "Finished"):
        if said:
            yield said
        return
    silent = not run.snapshots and "refused" not in said
    if run.cause in (NO_PREDICTIONS, "DeadlineReached") and silent and run.overshoot_ms:
        yield from _explain_silence(spec, output)
    elif run.cause == "DeadlineReached":
        yield "It used its whole budget, which is the usual end; what it had saved counts."
    else:
        yield f"{said} ({run.cause})" if said else f"{run.cause}."
    if run.cause == "ExitCode":
        yield from find_error(output)
    if run.charged_to == "Platform":
        yield "This is not your fault: it costs you no quota."
    elif run.charged_to == "Participant" and run.cause != "DeadlineReached":
        yield "It is charged to you: the submission counts against your quota."


def _explain_silence(spec: SubmissionSpec, output: str) -> Iterator[str]:
    """Stopped at its budget before the first prediction."""
    if spec.code.image is not None:
        yield "It was stopped at its budget, and had saved no prediction by then."
        yield "Write each prediction to $ALCOVE_OUT as soon as there is one: NAME.npy or NAME.predict."
        return
    reached = _RUNNER.findall(output)
    what, remedy = _STEPS[reached[-1] if reached else "Model() returned"]
    never = f"{what} never returned" if reached else "The first `train` or `test` never returned"
    yield f"{never}: it was stopped at its budget, with no prediction saved. {remedy}"


def find_error(output: str) -> Iterator[str]:
    """What ended the program: the runner's refusal, or the error of the last traceback with its place and line."""
    if refusals := _REFUSAL.findall(output):
        yield refusals[-1]
        return
    place, code, found = "", "", None
    lines = [line.removeprefix("[alcove] ") for line in output.splitlines()]
    for number, line in enumerate(lines):
        frame = _FRAME.match(line)
        if frame:
            place = f"{frame['file']}, line {frame['line']}"
            code = lines[number + 1].strip() if number + 1 < len(lines) else ""
        error = _ERROR.match(line)
        if error:
            found = (place, error["kind"].rpartition(".")[2], error["what"] or "", code)
    if found is None:
        return
    place, kind, what, code = found
    yield f"{f'{place}: ' if place else ''}{kind}{f': {what}' if what else ''}"
    if place and code:
        yield f"  {code}"
