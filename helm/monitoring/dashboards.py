"""The four dashboards: leaderboard, learning curves, a team's view, operations."""

from __future__ import annotations

import json

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from monitoring.panels import (
    PHASE,
    RELEASE,
    bars,
    curves,
    empty_dashboard,
    instant,
    label_variable,
    lines,
    matrix,
    number,
    phase_dashboard,
    query,
    table_of,
    timeline,
)

TEAM = f'{PHASE},team="$team"'
BOARD_COLUMNS = (
    ("alcove_rank", "Rank"),
    ("alcove_mean_rank", "Mean rank"),
    ('alcove_rank_interval{bound="low"}', "Best rank (95 %)"),
    ('alcove_rank_interval{bound="high"}', "Worst rank (95 %)"),
    ("alcove_submissions", "Submissions"),
)


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
    closes = f"alcove_phase_closes_timestamp_seconds{{{PHASE}}} - time()"
    for panel in (
        number("Teams", "On the board.", instant(f"max(alcove_board_teams{{{PHASE}}})")),
        number("Runs under way", "Of all teams.", instant(f"max(alcove_runs_running{{{PHASE}}})")),
        number("Runs that wait", "For a place.", instant(f"max(alcove_runs_queued{{{PHASE}}})")),
        number(
            "Board made",
            "How long ago.",
            instant(f"time() - max(alcove_board_updated_timestamp_seconds{{{PHASE}}})"),
            unit="s",
        ),
        number("Closes in", "Empty where the phase has no end.", instant(f"max({closes})"), unit="s"),
        number(
            "Budget",
            "Of a run; empty where it is not disclosed.",
            instant(f"max(alcove_phase_budget_seconds{{{PHASE}}})"),
            unit="s",
        ),
    ):
        made.with_panel(panel)
    return (
        made.with_panel(
            matrix(
                "Leaderboard",
                "The leading 50 teams: rank, mean rank with its interval, ALC and rank on each dataset; and baselines.",
                board_expression(),
                row="team",
                column="column",
                sort="Rank",
            )
        )
        .with_panel(
            lines(
                "Ranks over time", "1 is best.", query(f"max by (team) (alcove_rank{{{PHASE}}})", "{{team}}")
            )
            .decimals(0)
            .min(1)
        )
        .with_panel(
            lines(
                "Mean ranks over time",
                "1 is best.",
                query(f"max by (team) (alcove_mean_rank{{{PHASE}}})", "{{team}}"),
            ).min(1)
        )
        .with_panel(
            timeline(
                "Who ran when",
                "Runs of each team that were under way.",
                query(f'max by (team) (alcove_team_runs{{{PHASE},state="running"}})', "{{team}}"),
            )
        )
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
                sort="Team",
                width=12,
            )
        )
    )


def team_view() -> dashboard.Dashboard:
    made = phase_dashboard("alcove-team", "Team", "One team in one phase.").with_variable(
        label_variable("team", "Team", f"alcove_submissions{{{PHASE}}}")
    )
    quota = f'{RELEASE},competition="$competition"'
    used = f'max by (window) (alcove_quota_used_submissions{{{quota},team="$team"}})'
    left = f"max by (window) (alcove_quota_limit_submissions{{{quota}}}) - {used}"
    for panel in (
        number("Rank", "1 is best.", instant(f"max(alcove_rank{{{TEAM}}})")),
        number("Mean rank", "Over the datasets.", instant(f"max(alcove_mean_rank{{{TEAM}}})")),
        number("Submissions", "That exist in this phase.", instant(f"max(alcove_submissions{{{TEAM}}})")),
        number(
            "Place in the queue",
            "Empty where nothing waits.",
            instant(f"max(alcove_team_queue_place{{{TEAM}}})"),
        ),
        number(
            "Quota left",
            "Submissions, today and in all; of phases that are not blind.",
            instant(left, "{{window}}"),
            width=8,
        ),
        lines(
            "Runs",
            "Waiting and under way.",
            query(f"max by (state) (alcove_team_runs{{{TEAM}}})", "{{state}}"),
        ),
        lines("Rank over time", "1 is best.", query(f"max(alcove_rank{{{TEAM}}})", "$team"))
        .decimals(0)
        .min(1),
        curves(
            "Learning curves", "Of the newest Submission that has one: a line a dataset.", TEAM, by="dataset"
        ),
        bars(
            "ALC",
            "Of the Submission that counts.",
            instant(f"max by (dataset) (alcove_alc{{{TEAM}}})", "{{dataset}}"),
            width=12,
        ),
        bars(
            "Where the time went",
            "Sum over the team's Submissions: wait until the go, learn until the end, score after it.",
            instant(f"max by (step) (alcove_team_time_seconds{{{TEAM}}})", "{{step}}"),
            unit="s",
            width=12,
        ),
        table_of(
            "How runs ended",
            "By cause and by who bears it.",
            f"max by (cause, charged_to) (alcove_team_runs_ended{{{TEAM}}})",
            ("cause", "charged_to"),
            "Runs",
        ),
    ):
        made.with_panel(panel)
    return made


def _quantiles(*metrics: tuple[str, str]) -> list[prometheus.Dataquery]:
    """Median and 99th percentile of each histogram (metric and what it is of), over all phases."""
    queries = []
    for metric, name in metrics:
        buckets = f"sum by (le) (rate({metric}_bucket{{{RELEASE}}}[$__rate_interval]))"
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            ref = f"{name}{label}".replace(" ", "")
            queries.append(query(f"histogram_quantile({share}, {buckets})", f"{name}, {label}", ref))
    return queries


Panel = Builder[models.Panel]


def _health() -> list[Panel]:
    up = f'{RELEASE},job="alcove-operator"'
    return [
        number("Operator", "1: Prometheus reaches it.", instant(f"max(up{{{up}}})")),
        number("Store", "1: it answered last.", instant(f"max(alcove_store_up{{{RELEASE}}})")),
        number(
            "Missing",
            "What all phases lack: alcove preflight names it.",
            instant(f"sum(alcove_phase_problems{{{RELEASE}}})"),
        ),
        number(
            "Not started",
            "Runs past half of the start timeout.",
            instant(f"max(alcove_runs_overdue_start{{{RELEASE}}})"),
        ),
        number(
            "Not renewed",
            "Runs whose store credentials are about to end.",
            instant(f"max(alcove_credentials_overdue_runs{{{RELEASE}}})"),
        ),
        number(
            "Oldest board lag",
            "Since when a board lacks something; empty where none does.",
            instant(f"time() - min(alcove_board_stale_since_timestamp_seconds{{{RELEASE}}})"),
            unit="s",
        ),
        table_of(
            "Datasets",
            "1: checked and found sound.",
            f"max by (competition, phase, dataset) (alcove_dataset_ready{{{RELEASE}}})",
            ("competition", "phase", "dataset"),
            "Ready",
        ),
        table_of(
            "What phases lack",
            "Counted by alcove preflight.",
            f"max by (competition, phase, kind) (alcove_phase_problems{{{RELEASE}}})",
            ("competition", "phase", "kind"),
            "Missing",
        ),
    ]


def _queue() -> list[Panel]:
    load = ("running", "queued")
    # A monitor that honours labels keeps the pod's namespace; another puts "exported_" before it.
    gpu = "DCGM_FI_DEV_GPU_UTIL"
    return [
        lines(
            "Runs",
            "Under way and waiting, of phases that are not blind; and the places that there are.",
            *(
                query(f"sum(max by (competition, phase) (alcove_runs_{state}{{{RELEASE}}}))", state, state)
                for state in load
            ),
            query(f"sum(max by (competition) (alcove_capacity_runs{{{RELEASE}}}))", "places", "places"),
        ),
        lines(
            "Queue wait",
            "From admission to the first attempt.",
            *_quantiles(("alcove_queue_wait_seconds", "wait")),
            unit="s",
        ),
        lines(
            "Start",
            "From the Job to the go, and what it consists of.",
            *_quantiles(
                ("alcove_start_seconds", "start"),
                ("alcove_pull_seconds", "pull"),
                ("alcove_stage_seconds", "stage"),
            ),
            unit="s",
        ),
        lines(
            "GPU use",
            "From DCGM's exporter, where there is one.",
            query(
                f"avg by (Hostname, gpu) ({gpu}{{{RELEASE}}} or {gpu}{{exported_{RELEASE}}})",
                "{{Hostname}} {{gpu}}",
            ),
            unit="percent",
        ),
    ]


def _promises() -> list[Panel]:
    return [
        lines(
            "Overshoot",
            "Of runs that used up their budget.",
            *_quantiles(("alcove_overshoot_seconds", "overshoot")),
            unit="s",
        ),
        lines(
            "Stamp lag",
            "Longest of each run, from the first sight of a file to its stamp.",
            *_quantiles(("alcove_stamp_lag_seconds", "lag")),
            unit="s",
        ),
        lines(
            "Runs that ended, by payer",
            "In an hour.",
            query(f"sum by (charged_to) (increase(alcove_runs_total{{{RELEASE}}}[1h]))", "{{charged_to}}"),
        ),
        lines(
            "Runs that ended, by cause",
            "In an hour.",
            query(f"sum by (cause) (increase(alcove_runs_total{{{RELEASE}}}[1h]))", "{{cause}}"),
        ),
        lines(
            "Predictions",
            "Saved in an hour, taken and refused.",
            query(f"sum by (result) (increase(alcove_snapshots_total{{{RELEASE}}}[1h]))", "{{result}}"),
        ),
    ]


def _scorer() -> list[Panel]:
    up = f'{RELEASE},job="alcove-operator"'
    return [
        lines(
            "Scores and boards",
            "From the end of the last run to the score; from the aggregate Job to its end.",
            *_quantiles(("alcove_score_seconds", "score"), ("alcove_aggregate_seconds", "board")),
            unit="s",
        ),
        lines(
            "Scorer Jobs that failed",
            "In an hour.",
            query(f"sum by (role) (increase(alcove_scorer_failures_total{{{RELEASE}}}[1h]))", "{{role}}"),
        ),
        lines(
            "Work queue",
            "Keys that are due, and for how long the oldest has been.",
            query(f"max(alcove_work_queue_depth{{{RELEASE}}})", "keys", "depth"),
            query(f"max(alcove_work_queue_age_seconds{{{RELEASE}}})", "age in seconds", "age"),
        ),
        lines(
            "Turns that failed",
            "A second.",
            query(
                f"sum by (kind) (rate(alcove_work_failures_total{{{RELEASE}}}[$__rate_interval]))", "{{kind}}"
            ),
        ),
        lines(
            "API requests",
            "A second, by kind of object; and those that failed.",
            query(
                f"sum by (resource) (rate(alcove_api_requests_total{{{RELEASE}}}[$__rate_interval]))",
                "{{resource}}",
            ),
            query(
                f"sum by (status) (rate(alcove_api_failures_total{{{RELEASE}}}[$__rate_interval]))",
                "failed: {{status}}",
                "failed",
            ),
        ),
        lines(
            "Operator's memory",
            "Resident.",
            query(f"max(process_resident_memory_bytes{{{up}}})", "memory"),
            unit="bytes",
        ),
        lines(
            "Operator's processor time",
            "Processors.",
            query(f"max(rate(process_cpu_seconds_total{{{up}}}[$__rate_interval]))", "processors"),
        ),
    ]


def _store() -> list[Panel]:
    return [
        lines(
            "Store",
            "Free bytes, and those of all disks.",
            query(f"max(alcove_store_free_bytes{{{RELEASE}}})", "free", "free"),
            query(f"max(alcove_store_size_bytes{{{RELEASE}}})", "disks", "size"),
            unit="bytes",
        ),
        lines(
            "Bytes by prefix",
            "As MinIO counts them, all versions.",
            query(f"max by (prefix) (alcove_store_prefix_bytes{{{RELEASE}}})", "{{prefix}}"),
            unit="bytes",
        ),
        lines(
            "Store errors",
            "Probes that failed, in an hour.",
            query(f"sum by (reason) (increase(alcove_store_errors_total{{{RELEASE}}}[1h]))", "{{reason}}"),
        ),
        lines(
            "Credentials not renewed",
            "Renewals that failed, in an hour.",
            query(f"sum(increase(alcove_credentials_renewal_failures_total{{{RELEASE}}}[1h]))", "failures"),
        ),
    ]


def _pages() -> list[Panel]:
    name = "alcove_board_server"
    return [
        lines(
            "Pages",
            "Answers a second of the server of boards, by status; and what it could not answer.",
            query(
                f"sum by (status) (rate({name}_requests_total{{{RELEASE}}}[$__rate_interval]))", "{{status}}"
            ),
            query(
                f"sum by (kind) (rate({name}_failures_total{{{RELEASE}}}[$__rate_interval]))",
                "failed: {{kind}}",
                "failed",
            ),
        ),
        lines(
            "Time of a page",
            "From the request to its end.",
            *_quantiles((f"{name}_request_seconds", "page")),
            unit="s",
        ),
        lines(
            "Reads of the server of boards",
            "A second, of the API server and the store: hundreds of viewers cost no more than one.",
            query(f"sum by (what) (rate({name}_reads_total{{{RELEASE}}}[$__rate_interval]))", "{{what}}"),
        ),
        lines(
            "Boards in its memory",
            "Bytes.",
            query(f"sum({name}_cached_bytes{{{RELEASE}}})", "bytes"),
            unit="bytes",
        ),
    ]


def operations() -> dashboard.Dashboard:
    made = empty_dashboard(
        "alcove-operations", "Operations", "Whether the platform keeps its promises: for whoever is on call."
    )
    rows = {
        "Health": _health(),
        "Queue and starts": _queue(),
        "Clock and causes": _promises(),
        "Scorer and operator": _scorer(),
        "Store": _store(),
        "Boards in the browser": _pages(),
    }
    for title, panels in rows.items():
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(panel)
    return made


def render() -> dict[str, str]:
    """JSON of every dashboard, by file name."""
    made = (leaderboard(), learning_curves(), team_view(), operations())
    built = [builder.build() for builder in made]
    return {
        f"{model.uid}.json": json.dumps(json.loads(JSONEncoder(sort_keys=True).encode(model)), indent=1)
        + "\n"
        for model in built
    }
