"""``alcove overfitting``: what was seen of submissions against what counts, from the cluster's Submissions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from alcove_api.phase import Phase
from alcove_api.score_text import format_score
from alcove_api.words import count_of
from alcove_cli.competitions import find_phase, parse_competition_object
from alcove_cli.errors import CommandError
from alcove_cli.options import parse_competition
from alcove_kube.client import KubeClient
from alcove_kube.resources import COMPETITIONS, SUBMISSIONS
from alcove_operator.core import parse_objects
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_scorer.curves import CurveRules, Point, area_under_curve, latest_per_time, resolve_rules
from alcove_scorer.overfitting import OverfittingReport, ScorePair, compare_scores, describe_trend
from alcove_scorer.overfitting_page import overfitting_html
from alcove_scorer.text_tables import fold_table
from alcove_scorer.written_text import shorten_name
from alcove_toolkit.whole_files import write_whole

LISTED = 30
"""Submissions that the terminal shows."""


@dataclass(frozen=True)
class Comparison:
    """Pairs of scores of a phase's submissions, and what the two are."""

    seen: str
    counting: str
    pairs: tuple[ScorePair, ...]
    left_out: int
    """Submissions without one of the two scores, or whose Submission is gone."""


def read_comparison(kube: KubeClient, namespace: str, name: str, phase: str) -> Comparison:
    """Of a phase with ``from``: the other phase against this one. Of any other: rows that are shown against those that
    rank.

    Raises CommandError where there is no such phase, it is not revealed yet, or both scores would be of the same rows.
    """
    competition = parse_competition_object(kube.get(COMPETITIONS, namespace, name))
    found = find_phase(competition, phase)
    if found.reveals_at is not None and found.reveals_at > datetime.now(UTC):
        raise CommandError(f"The phase {phase} is revealed at {found.reveals_at}: ask again then.")
    views = [parse_objects.submission_view(raw) for raw in kube.find_all(SUBMISSIONS, None)]
    ours = [view for view in views if view.spec and view.spec.competition.name == name]
    ours = [view for view in ours if view.spec and view.spec.competition.namespace == namespace]
    if found.from_ is not None:
        return _compare_phases(ours, found.from_.phase, found.name)
    return _compare_rows(ours, competition, found)


def _compare_phases(views: Sequence[SubmissionView], practice: str, final: str) -> Comparison:
    numbered = {(view.team, view.name): (number, view) for number, view in _number(views, practice)}
    pairs, left_out = [], 0
    reruns = [view for view in _of_phase(views, final) if view.of_organizer and not view.baseline]
    for rerun in {view.team: view for view in sorted(reruns, key=lambda view: view.created_at)}.values():
        original = rerun.original
        number, first = numbered.get((rerun.team, original.submission if original else ""), (0, None))
        seen, counting = _mean_alc(first), _mean_alc(rerun)
        if first is None or seen is None or counting is None:
            left_out += 1
        else:
            pairs.append(ScorePair(rerun.team, first.name, number, seen, counting))
    return Comparison(f"the phase {practice}", f"the phase {final}", tuple(pairs), left_out)


def _compare_rows(views: Sequence[SubmissionView], competition: CompetitionView, phase: Phase) -> Comparison:
    scoring, feedback = phase.scoring or competition.spec.scoring, phase.feedback
    if scoring.ranked_rows == "all" or feedback.test_fraction >= 1 or feedback.mode == "ladder":
        why = "shows no points" if feedback.mode == "ladder" else "ranks by the rows that it shows"
        raise CommandError(f"The phase {phase.name} {why}, so there are not two scores to compare.")
    rules = resolve_rules(
        phase.budget.seconds, scoring.scheme, scoring.metric, scoring.t0_seconds, scoring.curve
    )
    pairs, left_out = [], 0
    for number, view in _number(views, phase.name):
        seen, counting = _mean_shown(view, rules), _mean_alc(view)
        if seen is None or counting is None:
            left_out += 1
        else:
            pairs.append(ScorePair(view.team, view.name, number, seen, counting))
    part = f"{100 * feedback.test_fraction:.3g} %"
    return Comparison(f"the {part} of rows that are shown", "the rows that rank", tuple(pairs), left_out)


def _of_phase(views: Iterable[SubmissionView], phase: str) -> Iterator[SubmissionView]:
    return (view for view in views if view.spec and view.spec.phase == phase)


def _number(views: Iterable[SubmissionView], phase: str) -> Iterator[tuple[int, SubmissionView]]:
    """What teams submitted to a phase, each with its place among the team's, by time of admission."""
    admitted = [
        view
        for view in _of_phase(views, phase)
        if view.original is None and not view.of_organizer and view.status.admitted_at is not None
    ]
    counts: dict[str, int] = {}
    for view in sorted(admitted, key=lambda view: (view.status.admitted_at or view.created_at, view.name)):
        counts[view.team] = counts.get(view.team, 0) + 1
        yield counts[view.team], view


def _mean_alc(view: SubmissionView | None) -> float | None:
    scores = [run.alc for run in view.status.runs] if view else []
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known and len(known) == len(scores) else None


def _mean_shown(view: SubmissionView, rules: CurveRules) -> float | None:
    """Of the curves that were shown."""
    if not view.status.runs or not all(run.curve for run in view.status.runs):
        return None
    areas = [
        area_under_curve(latest_per_time(Point(i, p.t, p.score) for i, p in enumerate(run.curve)), rules)
        for run in view.status.runs
    ]
    return sum(areas) / len(areas)


def describe_report(comparison: Comparison, report: OverfittingReport) -> Iterator[str]:
    """Lines for people, in 80 columns."""
    yield f"{count_of(len(report.pairs), 'submission')}: {comparison.seen} against {comparison.counting}."
    yield describe_trend(report)
    tau = "–" if report.tau is None else f"{report.tau:.2f}"
    yield f"Mean difference {_signed(report.mean)}; Kendall's τ of the two scores {tau}."
    if comparison.left_out:
        yield f"Left out, without one of the two scores: {comparison.left_out}."
    rows = [["TEAM", "SUBMISSION", "NUMBER", "SEEN", "COUNTS", "DIFFERENCE"]]
    for pair in sorted(report.pairs, key=lambda pair: -pair.difference)[:LISTED]:
        scores = (format_score(pair.seen, 4), format_score(pair.counting, 4), _signed(pair.difference))
        rows.append(
            [shorten_name(pair.team, 24), shorten_name(pair.submission, 24), str(pair.number), *scores]
        )
    for table in fold_table(rows, 2):
        yield from table
    if len(report.pairs) > LISTED:
        yield f"… and {len(report.pairs) - LISTED} more (all of them: --json)"


def report_overfitting(
    kube: KubeClient, competition: str, phase: str, page: Path | None, *, as_json: bool
) -> Iterator[str]:
    """Lines to print. Writes ``page``, where one is asked for.

    Raises CommandError as :func:`read_comparison` does, and where nothing has both scores.
    """
    namespace, name = parse_competition(competition)
    found = read_comparison(kube, namespace, name, phase)
    if not found.pairs:
        raise CommandError(f"No submission of the phase {phase} has both scores ({found.left_out} lack one).")
    made = compare_scores(found.pairs)
    if page is not None:
        title = f"{namespace}/{name} · {phase}"
        write_whole(page, overfitting_html(title, found.seen, found.counting, made))
    if as_json:
        more = {"seen": found.seen, "counting": found.counting, "left_out": found.left_out}
        yield json.dumps(more | asdict(made), indent=2)
        return
    yield from describe_report(found, made)
    if page is not None:
        yield f"Page: {page}"


def _signed(difference: float) -> str:
    return f"{'+' if difference >= 0 else ''}{format_score(difference, 4)}"
