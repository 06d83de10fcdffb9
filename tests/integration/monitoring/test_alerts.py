"""Each alert fires by what its section of the runbook says, and resolves when that is over: by promtool."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.demo import dashboard_data
from tests.unit.helm.chart import CHART

pytestmark = pytest.mark.integration

ALERTS = CHART / "files" / "alerts.yaml"
HERE = 'namespace="RELEASE_NAMESPACE"'
FINAL = 'competition="cup", phase="final"'
OF_FINAL = {"competition": "cup", "phase": "final"}


@dataclass(frozen=True)
class Story:
    """What one sample a minute shows: ``1x9 0x20`` is 1 and nine times more, then 0 and twenty times more."""

    alert: str
    series: Mapping[str, str]
    quiet: str
    """When it does not fire yet."""
    fires: str
    resolved: str
    labels: Mapping[str, str]
    """Of the alert, beside its severity and namespace."""


def _phase(metric: str, more: str = "") -> str:
    return f"{metric}{{{HERE}, {FINAL}{more}}}"


def _volume(what: str, claim: str = "data-alcove-store-0") -> str:
    return f'kubelet_volume_stats_{what}_bytes{{{HERE}, persistentvolumeclaim="{claim}"}}'


STORIES = (
    Story("AlcoveOperatorDown", {f'up{{{HERE}, job="alcove-operator"}}': "1x9 0x19 1x20"}, "11m", "14m", "31m", {}),
    Story("AlcoveOperatorDown", {'up{namespace="other", job="alcove-operator"}': "1x60 _x10"}, "1m", "4m", "never", {}),
    Story("AlcoveWorkQueueOld", {f"alcove_work_queue_age_seconds{{{HERE}}}": "0x9 90x19 0x20"},
          "14m", "18m", "31m", {}),
    Story("AlcoveRunsDoNotStart", {f"alcove_runs_overdue_start{{{HERE}}}": "0x9 3x19 0x20"}, "10m", "12m", "31m", {}),
    Story("AlcovePlatformFaults", {_phase("alcove_attempts_lost_total"): "0x9 2x100",
          _phase("alcove_queue_wait_seconds_count"): "0x9 10x100"}, "9m", "15m", "50m", {}),
    # Of a blind phase: nothing is counted.
    Story("AlcovePlatformFaults", {f"alcove_platform_fault_timestamp_seconds{{{HERE}}}": "-9000x9 600x100",
          _phase("alcove_attempts_lost_total"): "0x100"}, "9m", "15m", "50m", {}),
    # One of a hundred runs of an open phase.
    Story("AlcovePlatformFaults", {f"alcove_platform_fault_timestamp_seconds{{{HERE}}}": "-9000x9 600x100",
          _phase("alcove_attempts_lost_total"): "0x9 1x100",
          _phase("alcove_queue_wait_seconds_count"): "0x9 100x100"}, "11m", "never", "30m", {}),
    Story("AlcoveOvershoot", {_phase("alcove_overshoot_seconds_count"): "0x9 4x200",
          _phase("alcove_overshoot_seconds_bucket", ', le="0.1"'): "0x9 3x200"}, "9m", "15m", "80m", OF_FINAL),
    Story("AlcoveStampLag", {_phase("alcove_stamp_lag_seconds_count"): "0x9 4x200",
          _phase("alcove_stamp_lag_seconds_bucket", ', le="1.0"'): "0x9 3x200"}, "9m", "15m", "80m", OF_FINAL),
    Story("AlcoveScorerFailing", {f'alcove_scorer_failures_total{{{HERE}, role="score"}}': "0x9 1x100"},
          "9m", "12m", "50m", {"role": "score"}),
    # Of a blind phase: nothing is counted.
    Story("AlcoveScorerFailing", {f'alcove_scorer_fault_timestamp_seconds{{{HERE}, role="score"}}': "_x10 600x100",
          f'alcove_scorer_failures_total{{{HERE}, role="score"}}': "0x100"}, "9m", "12m", "50m", {"role": "score"}),
    Story("AlcoveBoardStale", {_phase("alcove_board_stale_since_timestamp_seconds"): "600x29 _x20"},
          "19m", "21m", "40m", OF_FINAL),
    Story("AlcoveStoreAway", {f"alcove_store_up{{{HERE}}}": "1x9 0x19 1x20"}, "10m", "12m", "31m", {}),
    Story("AlcoveStoreFilling", {f"alcove_store_free_bytes{{{HERE}}}": "50x9 5x19 50x20",
          f"alcove_store_size_bytes{{{HERE}}}": "100x60"}, "14m", "16m", "31m", {}),
    # A store that does not say it itself, and a claim that is another's.
    Story("AlcoveStoreFilling", {_volume("available"): "50x9 5x19 50x20", _volume("capacity"): "100x60",
          _volume("available", "other"): "1x60", _volume("capacity", "other"): "100x60"}, "14m", "16m", "31m", {}),
    # What the store says goes before what the kubelet says of a volume.
    Story("AlcoveStoreFilling", {f"alcove_store_free_bytes{{{HERE}}}": "50x9 5x19 50x20",
          f"alcove_store_size_bytes{{{HERE}}}": "100x60",
          _volume("available"): "1x60", _volume("capacity"): "100x60"}, "14m", "16m", "31m", {}),
    # A store that says 0 of 0 says nothing.
    Story("AlcoveStoreFilling", {f"alcove_store_free_bytes{{{HERE}}}": "0x60",
          f"alcove_store_size_bytes{{{HERE}}}": "0x60",
          _volume("available"): "50x9 5x19 50x20", _volume("capacity"): "100x60"}, "14m", "16m", "31m", {}),
    # One that refuses what is written, though its volume has room, or nobody knows of any.
    Story("AlcoveStoreFilling", {f"alcove_store_has_room{{{HERE}}}": "1x9 0x19 1x20",
          _volume("available"): "50x60", _volume("capacity"): "100x60"}, "14m", "16m", "31m", {}),
    Story("AlcoveStoreFilling", {f"alcove_store_has_room{{{HERE}}}": "1x9 0x19 1x20"}, "14m", "16m", "31m", {}),
    # It refused to be probed, once an hour, until it was mended.
    Story("AlcoveStoreRefusing", {f'alcove_store_errors_total{{{HERE}, reason="refused"}}': "0x9 1x59 2x70",
          f"alcove_store_has_room{{{HERE}}}": "1x9 _x100 1x30"}, "9m", "65m", "115m", {}),
    Story("AlcoveStoreRefusing", {f'alcove_store_errors_total{{{HERE}, reason="refused"}}': "0x9 5x60",
          f"alcove_store_has_room{{{HERE}}}": "1x60"},
          "9m", "12m", "40m", {}),
    Story("AlcoveCredentialsEnding", {f"alcove_credentials_overdue_runs{{{HERE}}}": "0x9 2x19 0x20"},
          "10m", "12m", "31m", {}),
    Story("AlcoveDatasetNotReady", {_phase("alcove_phase_problems", ', kind="dataset"'): "1x20 0x20",
          _phase("alcove_phase_open"): "0x9 1x40"}, "14m", "16m", "22m", OF_FINAL),
    Story("AlcovePhaseNotPrepared", {_phase("alcove_phase_problems", ', kind="dataset"'): "2x20 0x20",
          _phase("alcove_phase_problems", ', kind="board"'): "0x60",
          _phase("alcove_phase_opens_timestamp_seconds"): "87000x60"}, "9m", "11m", "22m", OF_FINAL),
)  # fmt: skip


def _promtool(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, input=stdin)


def test_the_rules_are_sound() -> None:
    done = _promtool("check", "rules", "--lint-fatal", ALERTS)
    assert done.returncode == 0, done.stderr


def test_every_alert_has_a_story_in_which_it_resolves() -> None:
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    assert {rule["alert"] for rule in rules} == {
        s.alert for s in STORIES if "never" not in (s.fires, s.resolved)
    }


@pytest.mark.parametrize("story", STORIES, ids=[f"{n}-{s.alert}" for n, s in enumerate(STORIES)])
def test_an_alert_fires_and_resolves(story: Story, tmp_path: Path) -> None:
    rules = yaml.safe_load(ALERTS.read_text())
    (rule,) = (r for r in rules["groups"][0]["rules"] if r["alert"] == story.alert)
    # What people read has the value in it; that is not what is tested here.
    rule["annotations"] = {}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    fired = [{"exp_labels": {**story.labels, **rule["labels"]}}]
    expected = {story.quiet: [], story.fires: fired, story.resolved: []}
    expected.pop("never", None)
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in story.series.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": story.alert, "exp_alerts": alerts}
            for at, alerts in expected.items()
        ],
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document))
    done = _promtool("test", "rules", tmp_path / "test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_panel_of_the_store_shows_its_volume_where_the_store_does_not_say(tmp_path: Path) -> None:
    volume = 'namespace="hackathon", persistentvolumeclaim="data-alcove-store-0"'
    said = {
        'alcove_store_free_bytes{namespace="hackathon"}': "_x9 0x9 20x9",
        'alcove_store_size_bytes{namespace="hackathon"}': "_x9 0x9 40x9",
        f"kubelet_volume_stats_available_bytes{{{volume}}}": "5x30",
        f"kubelet_volume_stats_capacity_bytes{{{volume}}}": "10x30",
    }
    shown = {"5m": (5, 10), "15m": (5, 10), "25m": (20, 40)}
    expressions = dashboard_data.expressions_of("alcove-operations.json", "Store bytes")
    asked = [
        {"expr": dashboard_data.fill(expression, {"namespace": "hackathon"}), "eval_time": at,
         "exp_samples": [{"labels": "{}", "value": value}]}
        for at, values in shown.items()
        for expression, value in zip(expressions, values, strict=True)
    ]  # fmt: skip
    series = [{"series": name, "values": values} for name, values in said.items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = _promtool("test", "rules", tmp_path / "test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("namespace", ["namespace", "exported_namespace"])
def test_the_panel_of_gpus_has_a_line_for_each_that_the_release_uses(namespace: str, tmp_path: Path) -> None:
    """As DCGM's exporter names them; ``namespace`` is the pod's where the monitor honours labels."""
    (expression,) = dashboard_data.expressions_of("alcove-operations.json", "GPU use")
    mine, other = (f'pod="run", {namespace}="{name}"' for name in ("hackathon", "other"))
    used = (
        ("0", mine, 37), ("1", mine, 80), ("2", other, 99), ("3", 'pod=""', 0),
    )  # fmt: skip
    series = [
        {
            "series": f'DCGM_FI_DEV_GPU_UTIL{{gpu="{gpu}", UUID="GPU-{gpu}", device="nvidia{gpu}", '
            f'modelName="NVIDIA H200", Hostname="node-1", job="dcgm-exporter", {labels}}}',
            "values": f"{percent}x10",
        }
        for gpu, labels, percent in used
    ]
    lines = [
        {"labels": f'{{Hostname="node-1", gpu="{gpu}"}}', "value": value}
        for gpu, value in (("0", 37), ("1", 80))
    ]
    asked = {
        "expr": dashboard_data.fill(expression, {"namespace": "hackathon"}), "eval_time": "5m", "exp_samples": lines
    }  # fmt: skip
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = _promtool("test", "rules", tmp_path / "test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
