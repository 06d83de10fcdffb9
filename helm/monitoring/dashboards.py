"""The dashboards of one phase: leaderboard, learning curves, a team's view. And what renders all four."""

from __future__ import annotations

import json

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from monitoring.operations import operations
from monitoring.panels import (
    GRAFANA,
    PHASE,
    RELEASE,
    bars,
    curves,
    label_variable,
    largest,
    largest_by,
    lines,
    matrix,
    number,
    phase_dashboard,
    query,
    table_of,
    timeline,
    with_panels,
)

TEAM = f'{PHASE},team="$team"'
BOARD_COLUMNS = (
    ("alcove_rank", "Rank"),
    ("alcove_mean_rank", "Mean rank"),
    ('alcove_rank_interval{bound="low"}', "Best rank (95 %)"),
    ('alcove_rank_interval{bound="high"}', "Worst rank (95 %)"),
    ("alcove_submissions", "Submissions"),
)


ORDER = "1 / Rank"
"""Largest of who leads; baselines have none."""


def _selected(metric: str) -> str:
    name, _, more = metric.partition("{")
    return f"{name}{{{PHASE}{',' + more if more else '}'}"


def board_expression() -> str:
    """One vector with a label ``column``, so that one table has columns of several metrics, and one a dataset."""
    parts = [
        f'label_replace(max by (team) ({_selected(metric)}), "column", "{title}", "", "")'
        for metric, title in BOARD_COLUMNS
    ]
    for metric, title in (("alcove_alc", "ALC"), ("alcove_dataset_rank", "Rank on")):
        by_dataset = f"max by (team, dataset) ({_selected(metric)})"
        named = f'label_replace({by_dataset}, "column", "{title} $1", "dataset", "(.*)")'
        parts.append(f"max by (team, column) ({named})")
    order = f"1 / max by (team) ({_selected('alcove_rank')})"
    parts.append(f'label_replace({order}, "column", "{ORDER}", "", "")')
    baselines = f"max by (baseline, dataset) ({_selected('alcove_baseline_alc')})"
    named = f'label_replace({baselines}, "column", "ALC $1", "dataset", "(.*)")'
    named = f'label_replace({named}, "team", "baseline $1", "baseline", "(.*)")'
    return " or ".join([*parts, f"max by (team, column) ({named})"])


def leaderboard() -> dashboard.Dashboard:
    made = phase_dashboard(
        "alcove-leaderboard",
        "Leaderboard",
        "The ranking of one phase. A blind phase has nothing to show before its reveal.",
    )
    updated, closes = "alcove_board_updated_timestamp_seconds", "alcove_phase_closes_timestamp_seconds"
    hidden = "Of a run; empty where it is not disclosed."
    return with_panels(
        made,
        number("Teams", "On the board.", largest("alcove_board_teams", PHASE)),
        number("Runs under way", "Of all teams.", largest("alcove_runs_running", PHASE)),
        number("Runs that wait", "For a place, or for a node.", largest("alcove_runs_queued", PHASE)),
        number("Board made", "How long ago.", f"time() - {largest(updated, PHASE)}", unit="s"),
        number(
            "Closes in", "Empty where the phase has no end.", f"max({closes}{{{PHASE}}} - time())", unit="s"
        ),
        number("Budget", hidden, largest("alcove_phase_budget_seconds", PHASE), unit="s"),
        matrix(
            "Leaderboard",
            "The leading 50 teams: rank, mean rank with its interval, ALC and rank on each dataset; and baselines.",
            board_expression(),
            row="team",
            column="column",
            order=ORDER,
        ),
        lines("Ranks over time", "1 is best.", largest_by("team", "alcove_rank", PHASE)).decimals(0).min(1),
        lines("Mean ranks over time", "1 is best.", largest_by("team", "alcove_mean_rank", PHASE)).min(1),
        timeline(
            "Who ran when",
            "Runs of each team that were under way.",
            largest_by("team", "alcove_team_runs", f'{PHASE},state="running"'),
        ),
    )


def learning_curves() -> dashboard.Dashboard:
    metric = f"alcove_curve_score{{{PHASE}}}"
    chosen = f'{PHASE},dataset="$dataset",team=~"$team"'
    return (
        phase_dashboard(
            "alcove-curves",
            "Learning curves",
            "Score against the logarithm of the time since the go, of each team's newest Submission that has a curve: "
            "while a run goes on too, as the phase's feedback allows. At most 32 points each.",
        )
        .refresh("10s")
        .with_variable(label_variable("dataset", "Dataset", metric, every=True))
        .with_variable(label_variable("team", "Team", metric, every=True))
        .with_panel(
            curves("Learning curves: $dataset", "A line a team.", chosen)
            .repeat("dataset")
            .repeat_direction("h")
        )
        .with_panel(
            matrix(
                "ALC",
                "Area under the learning curve of the Submission that counts, by dataset.",
                f'max by (team, dataset) (alcove_alc{{{PHASE},team=~"$team"}})',
                row="team",
                column="dataset",
                width=12,
            )
        )
    )


def team_view() -> dashboard.Dashboard:
    made = phase_dashboard("alcove-team", "Team", "One team in one phase.").with_variable(
        label_variable("team", "Team", f"alcove_submissions{{{PHASE}}}")
    )
    own = f'{RELEASE},competition="$competition",team="$team"'
    limit, used = (
        f"max by (window) (alcove_quota_{what}_submissions{{{own}}})" for what in ("limit", "used")
    )
    spent = "Sum over the team's Submissions: wait until the go, learn until the end, score after it."
    newest = "Of the newest Submission that has one: a line a dataset."
    return with_panels(
        made,
        number("Rank", "1 is best.", largest("alcove_rank", TEAM)),
        number("Mean rank", "Over the datasets.", largest("alcove_mean_rank", TEAM)),
        number("Submissions", "That exist in this phase.", largest("alcove_submissions", TEAM)),
        number("Place in the queue", "Empty where nothing waits.", largest("alcove_team_queue_place", TEAM)),
        number(
            "Quota left",
            "Submissions, today and in all; of phases that are not blind.",
            f"{limit} - {used}",
            legend="{{window}}",
            width=8,
        ),
        bars("Submissions by state", "Those of this phase.", f"alcove_team_submissions{{{TEAM}}}", "state"),
        lines("Runs", "Waiting and under way.", largest_by("state", "alcove_team_runs", TEAM)),
        lines("Rank over time", "1 is best.", query(largest("alcove_rank", TEAM), "$team"))
        .decimals(0)
        .min(1),
        curves("Learning curves", newest, TEAM, by="dataset"),
        bars("ALC", "Of the Submission that counts.", f"alcove_alc{{{TEAM}}}", "dataset"),
        bars("Where the time went", spent, f"alcove_team_time_seconds{{{TEAM}}}", "step", unit="s"),
        table_of(
            "How runs ended",
            "By cause and by who bears it.",
            "alcove_team_runs_ended",
            ("cause", "charged_to"),
            "Runs",
            where=TEAM,
        ),
    )


def set_release(made: models.Dashboard) -> models.Dashboard:
    """Names the release of Grafana that the panels are written for.

    Without one Grafana takes a panel for one of an old release and changes its options; of an XY chart it then reads
    options that are not there, and shows nothing.
    """
    for panel in made.panels or []:
        inside = [panel] if isinstance(panel, models.Panel) else panel.panels
        for each in inside:
            each.plugin_version = GRAFANA
    return made


def render() -> dict[str, str]:
    """JSON of every dashboard, by file name."""
    made = (leaderboard(), learning_curves(), team_view(), operations())
    built = [set_release(builder.build()) for builder in made]
    return {
        f"{model.uid}.json": json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(model)), indent=1)
        + "\n"
        for model in built
    }
