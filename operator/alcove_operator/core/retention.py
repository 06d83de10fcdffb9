"""What a competition's retention deletes: the Submissions that nothing needs any more, and why others are kept. Pure.

What stays is whatever a board, an audit of who counts, a rescoring of those, or a blind final still reads.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from alcove_api.board_documents import CountedSubmission
from alcove_api.competition import Retention
from alcove_operator.core import boards, names, scoring
from alcove_operator.core import status as statuses
from alcove_operator.core.model import CompetitionView, DatasetView, JobView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, find_rules, is_blind

PrunedPart = Literal["snapshots", "logs", "bundle"]
COUNTS = "it counts for its team"
RECENT = "its days are not over"
ORGANIZER = "the organizer has submitted it"
SHARED = "another release has data in the store, and may have the same code"
UNSEEN = "not every team's namespace could be listed, and one there may have the same code"
CODE_NEEDED = "a Submission that is kept has the same code"
_DAYS: Mapping[PrunedPart, str] = {
    "snapshots": "snapshots_days",
    "logs": "logs_days",
    "bundle": "bundles_days",
}


@dataclass(frozen=True)
class RetentionInput:
    competitions: Sequence[CompetitionView]
    """All of the release: code may be another competition's too."""
    submissions: Sequence[SubmissionView]
    """All that are known, of all of them."""
    datasets: Mapping[str, DatasetView]
    """By name."""
    counted: Mapping[tuple[str, str, str], Sequence[CountedSubmission]]
    """By namespace, competition and phase: what stands though it may be deleted."""
    jobs: Sequence[JobView]
    now: datetime
    code_kept: str = ""
    """Why no code is deleted now; "" where it may be."""


@dataclass(frozen=True)
class PrunableSubmission:
    view: SubmissionView
    parts: tuple[PrunedPart, ...]
    """``bundle`` only where nobody who is kept has the same code."""


@dataclass(frozen=True)
class PrunePlan:
    prunable: tuple[PrunableSubmission, ...]
    retained: Mapping[str, int]
    """How many Submissions, or codes of them, are kept, by the reason as a sentence without its full stop."""


def plan_prune(given: RetentionInput, competition: CompetitionView) -> PrunePlan:
    """For one competition. A Submission is kept or not as a whole; its parts have days of their own."""
    retention = competition.spec.retention
    if retention is None:
        return PrunePlan((), {})
    judge = _Judge(given)
    needed_code = judge.find_needed_code()
    retained: Counter[str] = Counter()
    found = []
    for view in given.submissions:
        if _competition_of(view) != (competition.namespace, competition.name):
            continue
        reason = judge.explain_need(view)
        due = () if reason else _list_due(retention, view, given.now)
        if not due:
            retained[reason or RECENT] += 1
            continue
        held = given.code_kept or (CODE_NEEDED if view.status.code_sha256 in needed_code else "")
        if held and "bundle" in due:
            retained[held] += 1
            due = tuple(part for part in due if part != "bundle")
        if due:
            found.append(PrunableSubmission(view, due))
    return PrunePlan(tuple(found), dict(sorted(retained.items())))


@dataclass
class _Judge:
    given: RetentionInput
    _reasons: dict[str, str] = field(default_factory=dict)
    """By UID."""

    def __post_init__(self) -> None:
        given = self.given
        self._competitions = {(c.namespace, c.name): c for c in given.competitions}
        self._scored_now = {job.submission_uid for job in given.jobs if job.role == names.SCORE}
        self._counting: set[str] = set()
        of_phase: defaultdict[tuple[str, ...], list[SubmissionView]] = defaultdict(list)
        for view in given.submissions:
            if view.spec is not None:
                of_phase[(*_competition_of(view), view.spec.phase)].append(view)
        for competition in given.competitions:
            for phase in competition.spec.phases:
                where = (competition.namespace, competition.name, phase.name)
                rules, entries = PhaseRules(competition, phase), given.counted.get(where, ())
                gone = [boards.view_deleted(entry, rules) for entry in entries]
                ranked = boards.select_ranked(rules, of_phase[where], gone, given.datasets)
                self._counting |= {view.uid for view in ranked} | {entry.submission_uid for entry in entries}

    def explain_need(self, view: SubmissionView) -> str:
        """Why it is kept, whatever its age, as a sentence without its full stop; "" where nothing needs it."""
        if view.uid not in self._reasons:
            self._reasons[view.uid] = self._explain(view)
        return self._reasons[view.uid]

    def _explain(self, view: SubmissionView) -> str:
        rules = find_rules(view, self._competitions.get(_competition_of(view)))
        if view.of_organizer or view.shows_rerun:
            return ORGANIZER
        if rules is None:
            return "its phase is gone from the competition"
        if view.status.phase not in statuses.ENDED or view.deleting:
            return "it has not ended"
        if view.uid in self._counting:
            return COUNTS
        return _explain_phase(rules, self.given.now) or self._explain_score(rules, view)

    def _explain_score(self, rules: PhaseRules, view: SubmissionView) -> str:
        if scoring.is_score_held_back(view.status):
            # From the reveal on until its status says the score: which is its team's best is not known before.
            return "its score is not shown yet"
        if boards.is_excluded(rules, view):
            return "it is left out of the board, and may be put back"
        digest = view.status.scoring_digest
        wanted = boards.compute_digests([view], rules, self.given.datasets)[view.uid]
        waits = digest != wanted and not is_pruned(view, "snapshots")
        return "it is being scored again" if view.uid in self._scored_now or (digest and waits) else ""

    def find_needed_code(self) -> set[str]:
        """Digests of the code of whatever is kept, of all competitions."""
        given = self.given
        entries = [entry for counted in given.counted.values() for entry in counted]
        needed = {e.code.bundle.sha256 for e in entries if e.code and e.code.bundle}
        for view in given.submissions:
            named = names_of_code(view)
            if not named <= needed and not self._is_code_due(view):
                needed |= named
        return needed

    def _is_code_due(self, view: SubmissionView) -> bool:
        competition = self._competitions.get(_competition_of(view))
        retention = competition.spec.retention if competition else None
        if retention is None or self.explain_need(view):
            return False
        return "bundle" in _list_due(retention, view, self.given.now)


def _explain_phase(rules: PhaseRules, now: datetime) -> str:
    """Why everything of a phase is kept."""
    phase = rules.phase
    if is_blind(phase, now):
        return "its phase is not revealed yet"
    if phase.feedback.mode == "ladder":
        return "its phase has a Ladder, which is made of every submission"
    if phase.deleted_submissions == "withdraw":
        return "its team can bring it back by deleting a later one (deletedSubmissions: withdraw)"
    if phase.counts != "last" and (phase.closes_at is None or now < phase.closes_at):
        return f"its phase has not closed, and it may come to count (counts: {phase.counts})"
    for later in rules.spec.phases:
        if later.from_ is not None and later.from_.phase == phase.name and is_blind(later, now):
            return f"the phase {later.name}, which takes its submissions from this one, is not revealed yet"
    return ""


def _list_due(retention: Retention, view: SubmissionView, now: datetime) -> tuple[PrunedPart, ...]:
    ended = find_end(view)
    found: list[PrunedPart] = []
    for part, name in _DAYS.items():
        days = getattr(retention, name)
        has_any = part != "bundle" or view.status.code_sha256
        if days is not None and has_any and now >= ended + timedelta(days=days):
            found.append(part)
    return tuple(found)


def find_end(view: SubmissionView) -> datetime:
    """When the last of its runs ended; when it was made where none ran."""
    return max(
        (run.ended_at for run in view.status.runs if run.ended_at is not None), default=view.created_at
    )


def names_of_code(view: SubmissionView) -> set[str]:
    """Digests of what it was admitted with, or waits for."""
    bundle = view.spec.code.bundle if view.spec else None
    return {sha256 for sha256 in (view.status.code_sha256, bundle.sha256 if bundle else "") if sha256}


def is_pruned(view: SubmissionView, part: PrunedPart) -> bool:
    return view.status.pruned is not None and getattr(view.status.pruned, part) is not None


def _competition_of(view: SubmissionView) -> tuple[str, str]:
    """Namespace and name; empty ones where it cannot be read."""
    return (view.spec.competition.namespace, view.spec.competition.name) if view.spec else ("", "")


def group_by_code(prunable: Iterable[PrunableSubmission]) -> dict[str, list[SubmissionView]]:
    """By digest of code that goes: all that have it."""
    found: defaultdict[str, list[SubmissionView]] = defaultdict(list)
    for one in prunable:
        if "bundle" in one.parts:
            found[one.view.status.code_sha256].append(one.view)
    return dict(found)
