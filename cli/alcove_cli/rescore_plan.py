"""What ``alcove rescore`` has to do: who is scored again, by which request, and which boards are compared. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from alcove_api.comparison import CompareRequest
from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.phase import ScoringSpec
from alcove_api.score_documents import ScoreRequest
from alcove_cli.competitions import find_phase
from alcove_cli.errors import CommandError, FailedError
from alcove_operator.core import boards, scoring
from alcove_operator.core.model import CompetitionView, DatasetView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, datasets_by_alias
from alcove_operator.core.status import ENDED
from alcove_scorer.errors import first_fault


@dataclass(frozen=True)
class ScoringChanges:
    """OperatorSettings that the user gave; None for those that were not."""

    scheme: str | None = None
    metric: str | None = None
    t0_seconds: float | None = None
    curve: str | None = None

    def applied(self, old: ScoringSpec) -> ScoringSpec:
        """A scheme brings its own metric, t0 and curve, but for those that are given with it.

        Raises CommandError, of exit status 2, for a value that no Competition could have.
        """
        given = {name: value for name, value in vars(self).items() if value is not None}
        inherited = old.model_dump(by_alias=False)
        if self.scheme:
            inherited = {name: inherited[name] for name in ("ranked_rows", "seed")}
        try:
            return ScoringSpec.model_validate({**inherited, **given})
        except ValidationError as error:
            field, fault = first_fault(error)
            raise CommandError(f"--{field.partition('.')[0].removesuffix('_seconds')}: {fault}.") from None


@dataclass(frozen=True)
class RescorePlan:
    scoring: ScoringSpec
    phase: str | None
    """The one phase that gets these settings as its own; None where they are the whole competition's."""
    wanted: Mapping[str, str]
    """By UID, of the score by the new settings, of every submission that is scored now or waits for it."""
    again: tuple[SubmissionView, ...]
    """Those whose score would be another."""
    requests: tuple[ScoreRequest, ...]
    """Those of them that count, and so move ranks: scored before anything is changed."""
    comparison: CompareRequest
    left_behind: tuple[SubmissionView, ...] = ()
    """Those that cannot be scored again, since retention has deleted their predictions."""


def find_scoring(competition: CompetitionView, phase: str | None) -> ScoringSpec:
    """By which settings a phase is scored, or those phases that have none of their own.

    Raises CommandError where there is no such phase.
    """
    if phase is None:
        return competition.spec.scoring
    return PhaseRules(competition, find_phase(competition, phase)).scoring


def is_scored_by(competition: CompetitionView, planned: RescorePlan) -> bool:
    """Whether the settings are those that were planned."""
    has_phase = planned.phase is None or competition.phase(planned.phase) is not None
    return has_phase and find_scoring(competition, planned.phase) == planned.scoring


def plan_rescore(
    competition: CompetitionView,
    submissions: Iterable[SubmissionView],
    datasets: Mapping[str, DatasetView],
    new: ScoringSpec,
    only: str | None = None,
) -> RescorePlan:
    """``datasets``: by name; ``only``: the one phase that gets the settings as its own. Without it they are the
    competition's, and phases with settings of their own keep them.

    Raises CommandError where there is no such phase, FailedError where a dataset is gone or being checked.
    """
    future = competition
    if find_scoring(competition, only) != new:
        future = _with_scoring(competition, new, only)
    views = sorted(submissions, key=boards.creation_order)
    wanted: dict[str, str] = {}
    again: list[SubmissionView] = []
    left_behind: list[SubmissionView] = []
    requests, compared = [], []
    for phase in future.spec.phases:
        if only not in (None, phase.name):
            continue
        rules = PhaseRules(future, phase)
        by_alias = datasets_by_alias(rules, datasets)
        entered = [v for v in views if v.spec and v.spec.phase == phase.name]
        left_behind += [v for v in entered if boards.is_left_behind(rules, v, datasets)]
        mine = [v for v in entered if _is_scored(v) and v not in left_behind]
        asked = {v.uid: _request(v, rules, by_alias) for v in mine}
        wanted |= {uid: request.scoring_digest() for uid, request in asked.items()}
        again += [v for v in mine if v.status.scoring_digest != wanted[v.uid]]
        waiting = [v for v in entered if v.status.phase == "Scoring"]
        wanted |= boards.compute_digests(waiting, rules, datasets)
        listed = [v for v in mine if not boards.is_excluded(rules, v)]
        counted = boards.select_counted(rules, listed)
        if not counted:
            continue
        requests += [asked[v.uid] for v in counted if v.status.scoring_digest != wanted[v.uid]]
        aliases = tuple(datasets[name].alias for name in phase.datasets if name in datasets)
        present = {v.uid: v.status.scoring_digest for v in counted}
        targets = boards.list_targets(rules, datasets)
        compared.append(boards.build_board_request(rules, aliases, counted, present, targets=targets))
    return RescorePlan(
        new,
        only,
        wanted,
        tuple(again),
        tuple(requests),
        CompareRequest(boards=tuple(compared), digests=wanted),
        tuple(left_behind),
    )


def _with_scoring(competition: CompetitionView, new: ScoringSpec, only: str | None) -> CompetitionView:
    if only is None:
        return replace(competition, spec=competition.spec.replace(scoring=new))
    phases = [p.replace(scoring=new) if p.name == only else p for p in competition.spec.phases]
    return replace(competition, spec=competition.spec.replace(phases=tuple(phases)))


def find_deleted(
    boards_now: Mapping[str, LeaderboardStatus], submissions: Iterable[SubmissionView]
) -> tuple[str, ...]:
    """Submissions on the boards (by phase) that are gone, as "namespace/name (phase)"; of each board, its first 100.

    They stand for their teams as the present settings score them; nobody can score them again.
    """
    present = {view.uid for view in submissions if not view.deleting}
    return tuple(
        f"{entry.team}/{entry.submission} ({phase})"
        for phase, board in boards_now.items()
        for entry in board.entries
        if entry.submission_uid not in present
    )


def _is_scored(view: SubmissionView) -> bool:
    return view.status.phase in ENDED and bool(view.status.scoring_digest) and not view.deleting


def _request(view: SubmissionView, rules: PhaseRules, by_alias: Mapping[str, DatasetView]) -> ScoreRequest:
    asked = scoring.build_request(view, rules, by_alias)
    if isinstance(asked, str):
        raise FailedError(f"{view.namespace}/{view.name} cannot be scored: {asked}")
    unready = scoring.explain_unready(asked, by_alias)
    if unready:
        raise FailedError(f"{view.namespace}/{view.name} cannot be scored: {unready} Then try again.")
    return asked
