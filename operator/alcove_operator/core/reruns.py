"""Phases that take their submissions from another: what counts there is run once more, one Submission a team.

The Submissions of such a phase are in the competition's namespace, under names that are computed from phase and team.
So making one twice makes it once, whatever happens in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from alcove_api.phase import Phase
from alcove_api.submission import CompetitionRef, Original, SubmissionSpec
from alcove_operator.core import boards, choice
from alcove_operator.core.model import CompetitionView, DatasetView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from alcove_operator.core.status import ENDED

NAMES_SHOWN = 5


@dataclass(frozen=True)
class Rerun:
    """A Submission that is to be made in the competition's namespace."""

    name: str
    spec: SubmissionSpec


@dataclass(frozen=True)
class RerunPlan:
    missing: tuple[Rerun, ...] = ()
    waits: tuple[str, ...] = ()
    """Teams with a submission to the other phase that is still under way, so that what counts is not known."""


@dataclass(frozen=True)
class Hindrances:
    """Teams that something keeps from a final."""

    under_way: tuple[str, ...] = ()
    """See :attr:`RerunPlan.waits`."""
    unlisted: tuple[str, ...] = ()
    """Their Submissions cannot be listed, so that what counts is not known."""
    unshown: tuple[str, ...] = ()
    """Their results cannot be written to their namespaces."""
    namesakes: tuple[str, ...] = ()
    """They have Submissions of their own with the names of their results."""

    def describe(self) -> str:
        """For people, in 256 characters at most; "" where there are none."""
        said = (
            ("Waits for submissions that are still under way in the other phase: {}.", self.under_way),
            ("Submissions cannot be listed in: {}.", self.unlisted),
            ("Results cannot be shown (the operator's log says why) to: {}.", self.unshown),
            (
                "A submission of the team has the name of its result, and must go first, in: {}.",
                self.namesakes,
            ),
        )
        return " ".join(words.format(_list_some(names)) for words, names in said if names)[:256]


def _list_some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


def is_open(phase: Phase, now: datetime) -> bool:
    """Whether a phase that takes its submissions from another has been opened, by its date or the organizer's."""
    return phase.from_ is not None and phase.opens_at is not None and now >= phase.opens_at


def name_rerun(phase: str, team: str, baseline: str = "", number: int = 1) -> str:
    """``number``: from 1; the organizer alone asks for further ones. A dot is in no name of a phase or namespace."""
    return ".".join([phase, team, *([baseline] if baseline else []), *([str(number)] if number > 1 else [])])


def build_rerun(phase: str, view: SubmissionView, number: int = 1) -> Rerun | None:
    """``view``: what is run again, or a Submission that ran it before; None where it was never admitted."""
    code = boards.admitted_code(view)
    if code is None or view.spec is None:
        return None
    wanted = view.spec.competition
    first = Original(team=view.namespace, submission=view.name, uid=view.uid)
    return Rerun(
        name_rerun(phase, view.team, view.baseline, number),
        SubmissionSpec(
            competition=CompetitionRef(namespace=wanted.namespace, name=wanted.name),
            phase=phase,
            code=code,
            rerun_of=view.original or first,
        ),
    )


def plan_reruns(
    competition: CompetitionView,
    phase: Phase,
    views: Iterable[SubmissionView],
    deleted: Iterable[SubmissionView],
    datasets: Mapping[str, DatasetView],
    unseen: Collection[str],
    now: datetime,
) -> RerunPlan:
    """What is still to be made for a phase with ``from``. Nothing before it opens.

    What counted at the opening is run, whatever teams do afterwards: later submissions and marks are left out.

    Args:
        competition: of the phase.
        phase: its submissions come from the phase that its ``from`` names.
        views: all Submissions of the competition.
        deleted: of the other phase, those that stand though they are gone.
        datasets: by name.
        unseen: teams whose namespaces have not been listed, so that what counts of them is not known.
        now: the time of day.
    """
    source = competition.phase(phase.from_.phase) if phase.from_ else None
    opened = phase.opens_at
    if source is None or opened is None or not is_open(phase, now):
        return RerunPlan()
    known = list(views)
    made = {view.name for view in known if view.of_organizer}
    before = [
        _without_late_mark(view, opened)
        for view in known
        if view.spec is not None and view.spec.phase == source.name and _came_before(view, opened, unseen)
    ]
    under_way = {
        view.team
        for view in before
        if not view.deleting and (view.status.phase not in ENDED or choice.awaits_its_time(view, source))
    }
    stand = [_without_late_mark(view, opened) for view in deleted if _came_before(view, opened, unseen)]
    counted = boards.select_ranked(PhaseRules(competition, source), before, stand, datasets)
    reruns = [
        rerun
        for view in counted
        if view.team not in under_way and (rerun := build_rerun(phase.name, view)) is not None
    ]
    due = {name_rerun(phase.name, team): team for team in under_way}
    return RerunPlan(
        tuple(rerun for rerun in reruns if rerun.name not in made),
        tuple(sorted(team for name, team in due.items() if name not in made)),
    )


def _came_before(view: SubmissionView, opened: datetime, unseen: Collection[str]) -> bool:
    return view.created_at < opened and view.namespace not in unseen


def _without_late_mark(view: SubmissionView, opened: datetime) -> SubmissionView:
    at = view.status.chosen_at
    if at is None or at < opened:
        return view
    return replace(view, chosen=False, status=view.status.replace(chosen_at=None))


def list_reruns(views: Iterable[SubmissionView], phase: str, team: str | None = None) -> list[SubmissionView]:
    """The Submissions of a phase that run something again, earliest first; ``team``: those of one team alone."""
    found = (
        view
        for view in views
        if view.of_organizer
        and view.original is not None
        and view.spec is not None
        and view.spec.phase == phase
        and team in (None, view.team)
    )
    return sorted(found, key=boards.creation_order)
