"""What has changed among Submissions since they were looked at last, and which of them can be on a board.

A competition has ten thousand Submissions, and between two looks a few of them change. A look passes over all of them,
which costs a tenth of a microsecond each, and works on those few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from alcove_operator.core import boards
from alcove_operator.core.model import DatasetView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules

VIEWS_A_TURN = 200
"""Submissions that are looked at before others go on."""
Group = tuple[str, str]
"""Team, and name of the baseline or "": of each, one Submission counts."""


class ViewChanges:
    """Views are frozen, and the index makes a new one of each that changes: who is another object has changed."""

    def __init__(self) -> None:
        self._known: dict[int, SubmissionView] = {}
        """By identity, which nothing else can have while it is in here."""

    def take(self, views: Iterable[SubmissionView]) -> tuple[list[SubmissionView], list[SubmissionView]]:
        """Those of ``views`` that were not among them the last time, and those of the last time that are not any more.

        Of one that has changed, its new view is among the first, its old one among the second.
        """
        listed = list(views)
        before, now = self._known, dict(zip(map(id, listed), listed, strict=True))
        self._known = now
        came = [now[key] for key in now.keys() - before.keys()]
        went = [before[key] for key in before.keys() - now.keys()]
        return came, went


@dataclass
class PhasePicks:
    """Of each team and baseline of one phase the one existing Submission that counts, kept from look to look.

    By each of the rules in :func:`boards.pick_counted` one comes before another whatever else there is. So who lost
    against the one that was picked need not be looked at again while that is as good as it was.
    """

    _basis: object = None
    """All that a choice depends on beside the Submissions."""
    _changes: ViewChanges = field(default_factory=ViewChanges)
    _picked: dict[Group, SubmissionView] = field(default_factory=dict)

    def renew(
        self,
        rules: PhaseRules,
        views: Collection[SubmissionView],
        datasets: Mapping[str, DatasetView],
        teams: frozenset[str],
    ) -> Iterator[None]:
        """Brings :meth:`picked` up to date: to what :func:`boards.select_ranked` would choose of ``views`` where
        nothing that is gone stands. Others may go on wherever it yields.

        Args:
            rules: of the phase.
            views: of the phase, all that exist.
            datasets: by name.
            teams: those that take part; a rerun of another is there still, in the competition's namespace.
        """
        basis = (rules.spec, rules.phase, datasets, teams)
        if basis != self._basis:
            self._changes, self._picked = ViewChanges(), {}
        # Where it is broken off, the next one begins anew.
        self._basis = None
        came, went = self._changes.take(views)
        rivals: defaultdict[Group, list[SubmissionView]] = defaultdict(list)
        for view in came:
            rivals[_group(view)].append(view)
        for group in {_group(view) for view in went if self._picked.get(_group(view)) is view}:
            merit = _merit(self._picked.pop(group))
            newer = [view for view in rivals[group] if _merit(view) == merit]
            if not self._choose(rules, newer, datasets, teams):
                rivals[group] = [view for view in views if _group(view) == group]
        for group, mine in rivals.items():
            for begin in range(0, len(mine), VIEWS_A_TURN):
                known = [self._picked.pop(group)] if group in self._picked else []
                for view in self._choose(rules, known + mine[begin : begin + VIEWS_A_TURN], datasets, teams):
                    self._picked[group] = view
                yield
        self._basis = basis

    def picked(self) -> list[SubmissionView]:
        return list(self._picked.values())

    @staticmethod
    def _choose(
        rules: PhaseRules,
        mine: Iterable[SubmissionView],
        datasets: Mapping[str, DatasetView],
        teams: frozenset[str],
    ) -> list[SubmissionView]:
        """Of one group; empty where none can count."""
        able = [view for view in mine if not view.of_organizer or view.baseline or view.team in teams]
        return boards.select_ranked(rules, able, (), datasets)


def _group(view: SubmissionView) -> Group:
    return view.team, view.baseline


def _merit(view: SubmissionView) -> object:
    """What decides which of two comes before the other, where both can count."""
    scores = tuple((run.dataset, run.alc) for run in view.status.runs)
    return boards.creation_order(view), view.status.chosen_at, scores
