"""The dashboard for whoever is on call: whether the platform keeps its promises."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from monitoring.panels import (
    RELEASE,
    Panel,
    empty_dashboard,
    in_a_second,
    in_an_hour,
    largest,
    largest_by,
    lines,
    number,
    quantiles,
    query,
    table_of,
)

OPERATOR = f'{RELEASE},job="alcove-operator"'
PAGES = "alcove_board_server"


def _health() -> list[Panel]:
    stale = f"time() - min(alcove_board_stale_since_timestamp_seconds{{{RELEASE}}})"
    ending = "Runs whose store credentials are about to end."
    return [
        number("Operator", "1: Prometheus reaches it.", largest("up", OPERATOR)),
        number("Store", "1: it answered last.", largest("alcove_store_up")),
        number("Room", "1: the store takes what runs save; 0: it is full.", largest("alcove_store_has_room")),
        number(
            "Missing",
            "What all phases lack: alcove preflight names it.",
            f"sum(alcove_phase_problems{{{RELEASE}}})",
        ),
        number("Not started", "Runs past half of the start timeout.", largest("alcove_runs_overdue_start")),
        number("Not renewed", ending, largest("alcove_credentials_overdue_runs")),
        number(
            "Oldest board lag", "Since when a board lacks something; empty where none does.", stale, unit="s"
        ),
        table_of(
            "Datasets",
            "1: checked and found sound.",
            "alcove_dataset_ready",
            ("competition", "phase", "dataset"),
            "Ready",
            width=10,
        ),
        table_of(
            "What phases lack",
            "Counted by alcove preflight.",
            "alcove_phase_problems",
            ("competition", "phase", "kind"),
            "Missing",
            width=10,
        ),
    ]


def _queue() -> list[Panel]:
    starts = {"alcove_start_seconds": "start", "alcove_pull_seconds": "pull", "alcove_stage_seconds": "stage"}
    # A monitor that honours labels keeps the pod's namespace; another puts "exported_" before it.
    gpu = "DCGM_FI_DEV_GPU_UTIL"
    of_gpus = f"avg by (Hostname, gpu) ({gpu}{{{RELEASE}}} or {gpu}{{exported_{RELEASE}}})"
    return [
        lines(
            "Runs",
            "Under way and waiting, of phases that are not blind; and the places that there are.",
            *(
                query(f"sum(max by (competition, phase) (alcove_runs_{state}{{{RELEASE}}}))", state, state)
                for state in ("running", "queued")
            ),
            query(f"sum(max by (competition) (alcove_capacity_runs{{{RELEASE}}}))", "places", "places"),
        ),
        lines(
            "Queue wait",
            "From admission to the first attempt.",
            *quantiles(("alcove_queue_wait_seconds", "wait")),
            unit="s",
        ),
        lines(
            "Start", "From the Job to the go, and what it consists of.", *quantiles(*starts.items()), unit="s"
        ),
        lines(
            "GPU use",
            "From DCGM's exporter, where there is one.",
            query(of_gpus, "{{Hostname}} {{gpu}}"),
            unit="percent",
        ),
    ]


def _promises() -> list[Panel]:
    lag = "Longest of each run, from the first sight of a file to its stamp."
    return [
        lines(
            "Overshoot",
            "Of runs that used up their budget.",
            *quantiles(("alcove_overshoot_seconds", "overshoot")),
            unit="s",
        ),
        lines("Stamp lag", lag, *quantiles(("alcove_stamp_lag_seconds", "lag")), unit="s"),
        lines("Runs that ended, by payer", "In an hour.", in_an_hour("charged_to", "alcove_runs_total")),
        lines("Runs that ended, by cause", "In an hour.", in_an_hour("cause", "alcove_runs_total")),
        lines(
            "Predictions",
            "Saved in an hour, taken and refused.",
            in_an_hour("result", "alcove_snapshots_total"),
        ),
    ]


def _scorer() -> list[Panel]:
    seconds = f"rate(process_cpu_seconds_total{{{OPERATOR}}}[$__rate_interval])"
    return [
        lines(
            "Scores and boards",
            "From the end of the last run to the score; from the aggregate Job to its end.",
            *quantiles(("alcove_score_seconds", "score"), ("alcove_aggregate_seconds", "board")),
            unit="s",
        ),
        lines("Scorer Jobs that failed", "In an hour.", in_an_hour("role", "alcove_scorer_failures_total")),
        lines(
            "Work queue",
            "Keys that are due, and for how long the oldest has been.",
            query(largest("alcove_work_queue_depth"), "keys", "depth"),
            query(largest("alcove_work_queue_age_seconds"), "age in seconds", "age"),
        ),
        lines("Turns that failed", "A second.", in_a_second("kind", "alcove_work_failures_total")),
        lines(
            "API requests",
            "A second, by kind of object; and those that failed.",
            in_a_second("resource", "alcove_api_requests_total"),
            in_a_second("status", "alcove_api_failures_total", "failed: ", "failed"),
        ),
        lines(
            "Operator's memory",
            "Resident.",
            query(largest("process_resident_memory_bytes", OPERATOR), "memory"),
            unit="bytes",
        ),
        lines("Operator's processor time", "Processors.", query(f"max({seconds})", "processors")),
        lines(
            "Turns of the operator",
            "Processor time of one, and how long the event loop kept others waiting.",
            *quantiles(("alcove_turn_cpu_seconds", "turn"), ("alcove_loop_standstill_seconds", "standstill")),
            unit="s",
        ),
    ]


def _told_by_store_or_kubelet(by_store: str, by_kubelet: str) -> str:
    volume = f'{RELEASE},persistentvolumeclaim="data-alcove-store-0"'
    kubelet = largest(f"kubelet_volume_stats_{by_kubelet}_bytes", volume)
    known = f"{largest('alcove_store_size_bytes')} > 0"
    return f"{largest(f'alcove_store_{by_store}_bytes')} and {known} or {kubelet}"


def _store() -> list[Panel]:
    failed = f"sum(increase(alcove_credentials_renewal_failures_total{{{RELEASE}}}[1h]))"
    return [
        lines(
            "Store bytes",
            "Free bytes, and those of all disks: as MinIO or, of another store, the kubelet tells.",
            query(_told_by_store_or_kubelet("free", "available"), "free", "free"),
            query(_told_by_store_or_kubelet("size", "capacity"), "disks", "size"),
            unit="bytes",
        ),
        lines(
            "Bytes by prefix",
            "All versions, without a blind phase; the operator counts once an hour.",
            largest_by("prefix", "alcove_store_prefix_bytes"),
            unit="bytes",
        ),
        lines(
            "Bytes by team",
            "What Submissions and uploads take, of the 50 teams that have most: all versions, without a blind phase, "
            "and without uploads while there is one; counted once an hour.",
            largest_by("team", "alcove_team_store_bytes"),
            unit="bytes",
        ),
        lines(
            "Store errors",
            "Probes that failed, in an hour.",
            in_an_hour("reason", "alcove_store_errors_total"),
        ),
        lines("Credentials not renewed", "Renewals that failed, in an hour.", query(failed, "failures")),
    ]


def _pages() -> list[Panel]:
    return [
        lines(
            "Pages",
            "Answers a second of the server of boards, by status; and what it could not answer.",
            in_a_second("status", f"{PAGES}_requests_total"),
            in_a_second("kind", f"{PAGES}_failures_total", "failed: ", "failed"),
        ),
        lines(
            "Time of a page",
            "From the request to its end.",
            *quantiles((f"{PAGES}_request_seconds", "page")),
            unit="s",
        ),
        lines(
            "Reads of the server of boards",
            "A second, of the API server and the store: hundreds of viewers cost no more than one.",
            in_a_second("what", f"{PAGES}_reads_total"),
        ),
        lines(
            "Boards in its memory",
            "Bytes.",
            query(f"sum({PAGES}_cached_bytes{{{RELEASE}}})", "bytes"),
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
