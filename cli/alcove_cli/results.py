"""What a team asks of its submissions and its competition: output, curves, quota, boards, and to stop a run.

The functions are pure but for :func:`cancel_submission`; ``alcove_cli.participate`` reads the objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from alcove_api.leaderboard import LeaderboardSpec, LeaderboardStatus
from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_api.words import count_of
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.explain import OUTPUT, find_condition_reason, read_status
from alcove_cli.options import parse_competition
from alcove_cli.watch import ENDED
from alcove_kube.client import KubeClient, Object
from alcove_kube.resources import SUBMISSIONS


def choose_runs(submission: Object, dataset: str | None) -> list[RunStatus]:
    """The run on that dataset, or all. Raises CommandError where there is none of it."""
    runs = read_status(submission).runs
    found = [run for run in runs if dataset in (None, run.dataset)]
    if dataset is not None and not found:
        known = ", ".join(run.dataset for run in runs) or "none yet"
        raise CommandError(f"There is no run on {dataset}. The datasets of this submission: {known}.")
    return found


def describe_logs(runs: Sequence[RunStatus]) -> Iterator[str]:
    """The end of each run's output, as far as its status holds it."""
    for run in runs:
        _, _, output = run.message.partition(OUTPUT)
        yield f"==> {run.dataset} ({run.phase}{f', {run.cause}' if run.cause else ''})"
        if output.strip():
            yield output.strip()
        elif run.phase in ("Done", "Failed"):
            yield "No output is shown: it printed nothing, or the competition hides what programs print."
        else:
            yield "Output is shown once the run has ended."


def describe_curves(runs: Sequence[RunStatus], status: SubmissionStatus) -> Iterator[str]:
    """Of each run its ALC, and the points that the phase shows: seconds since the go, score, and a bar.

    ``status``: of their Submission.
    """
    held_back = find_condition_reason(status, "Scored") == "HeldBack"
    for run in runs:
        yield f"{run.dataset}: {_describe_score(run, held_back)}"
        for point in run.curve:
            bar = "█" * round(40 * min(1.0, max(0.0, point.score)))
            yield f"  {point.t:>9.2f} s  {point.score:>8.4f}  {bar}".rstrip()
        if not run.curve and not held_back:
            yield "  No point is shown: there is none yet, or the phase does not show them."


def _describe_score(run: RunStatus, held_back: bool) -> str:
    if run.alc is not None:
        return f"ALC {run.alc:g}"
    if run.phase == "Failed":
        return f"no score{f' ({run.cause})' if run.cause else ''}"
    if held_back:
        return "what it scores is shown from the phase's reveal on"
    return "its score is not shown" if run.phase == "Done" else f"no score yet ({run.phase})"


def describe_quota(
    submissions: Sequence[Object], boards: Sequence[Object], competition: str, now: datetime
) -> str:
    """What the team has used of its limits, as its newest admitted Submission says.

    Args:
        submissions: those of the team's namespace.
        boards: Leaderboards of the competition's namespace, which publish the limits.
        competition: NAMESPACE/NAME.
        now: with a time zone.

    Raises:
        FailedError: the competition publishes no limits.
    """
    namespace, name = parse_competition(competition)
    rules = next(
        (
            spec.rules
            for spec in (LeaderboardSpec.model_validate(board["spec"]) for board in boards)
            if spec.competition == name and spec.rules.per_day
        ),
        None,
    )
    if rules is None or rules.parallel is None:
        raise FailedError(
            f"The competition {competition} publishes no limits. Is it the right one? alcove phases."
        )
    wanted = {"namespace": namespace, "name": name}
    admitted = [
        (status.admitted_at, status.quota)
        for submission in submissions
        if submission["spec"]["competition"] == wanted
        for status in (read_status(submission),)
        if status.admitted_at is not None and status.quota
    ]
    limits = f"{rules.per_day} a day (UTC), {rules.total} in all, {count_of(rules.parallel, 'run')} at a time"
    if not admitted:
        return f"No submission of yours was admitted yet. Limits: {limits}."
    at, used = max(admitted)
    if at.astimezone(UTC).date() != now.astimezone(UTC).date():
        used = re.sub(r"\d+ of (\d+) today", r"0 of \1 today", used)
    return (
        f"Used: {used}, as of your last submission. What failed by the platform's fault since then is given back. "
        f"Limits: {limits}."
    )


def describe_boards(boards: Sequence[Object], phase: str | None) -> str:
    """The tables of a competition's phases, or of one. Empty where there is none."""
    found = []
    for board in boards:
        spec = LeaderboardSpec.model_validate(board["spec"])
        if phase in (None, spec.phase):
            status = LeaderboardStatus.model_validate(board.get("status") or {})
            found.append(f"{spec.phase}:\n{status.table or 'No entries yet.'}")
    return "\n\n".join(sorted(found))


def cancel_submission(kube: KubeClient, team: str, name: str) -> None:
    """Deletes a Submission that has not ended, which stops its runs.

    Raises:
        CommandError: it has ended.
        ApiError: there is none, or the API server refuses.
    """
    submission = kube.get(SUBMISSIONS, team, name)
    phase = read_status(submission).phase
    if phase in ENDED:
        raise CommandError(
            f"{team}/{name} has ended ({phase}), so there is nothing to stop. To delete it with its results: "
            f"kubectl delete submission {name} -n {team}"
        )
    kube.delete(SUBMISSIONS, team, name, submission["metadata"]["uid"])
