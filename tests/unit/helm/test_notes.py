"""What an organizer reads after `helm install`."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from alcove_api.competition import CompetitionSpec
from alcove_api.feedback import compute_disclosed_bits
from alcove_api.schemes import SCHEMES

from .chart import CHART, NAMESPACE, VALUES, helm, merged

PHASE = VALUES["competition"]["spec"]["phases"][0]
LEAKY = {**PHASE, "feedback": {"decimals": 4, "testFraction": 1.0, "maxSnapshots": 32}}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with its notes in a ConfigMap: without a cluster, Helm renders no notes."""
    copy = tmp_path_factory.mktemp("notes") / "alcove"
    shutil.copytree(CHART, copy)
    written = copy / "templates" / "NOTES.txt"
    (copy / "templates" / "_notes.tpl").write_text(
        f'{{{{ define "notes" }}}}{written.read_text()}{{{{ end }}}}'
    )
    (copy / "templates" / "notes.yaml").write_text(
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata: {notes: {{ include "notes" . | quote }}}\n'
    )
    written.unlink()
    return copy


def notes(chart: Path, **spec: Any) -> str:
    return show_notes(chart, {"competition": {"spec": spec}})


def show_notes(chart: Path, values: dict[str, Any], *options: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(merged(VALUES, values), file)
        file.flush()
        show = ("--kube-version", "1.34.4", "--show-only", "templates/notes.yaml", *options)
        done = helm("template", "hackathon", chart, "-n", NAMESPACE, "-f", file.name, *show)
    assert done.returncode == 0, done.stderr
    return str(yaml.safe_load(done.stdout)["data"]["notes"])


def test_the_notes_say_how_alerts_get_a_link(chart: Path) -> None:
    rules = ("--api-versions", "monitoring.coreos.com/v1/PrometheusRule")
    linked = {"monitoring": {"runbookUrl": "https://example.org/runbook"}}
    said = "--set monitoring.runbookUrl="
    assert said in show_notes(chart, {}, *rules)
    assert said not in show_notes(chart, {})
    assert said not in show_notes(chart, linked, *rules)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"phases": [{**PHASE, "feedback": {"decimals": 5, "maxSnapshots": 6}}]},
        {"limits": {"total": 7}, "scoring": {"scheme": "autodl"}},
        {"scoring": {"metric": "mine"}},
        {"scoring": {"scheme": "autodl", "metric": "balanced_accuracy"}},
    ],
)
def test_the_notes_say_the_bits_that_are_computed(chart: Path, spec: dict[str, Any]) -> None:
    read = CompetitionSpec.model_validate({"phases": [PHASE], **spec})
    metric = read.scoring.metric or SCHEMES[read.scoring.scheme].metric
    feedback = read.phases[0].feedback
    bits = compute_disclosed_bits(feedback.decimals, feedback.max_snapshots, read.limits.total, metric)
    (found,) = re.findall(
        r"practice: ([\d.]+) bits a point, (\d+) a run on a dataset, (\d+) a team", notes(chart, **spec)
    )
    assert found[0] == f"{bits.snapshot:.1f}"
    assert int(found[1]) == pytest.approx(bits.run, abs=1)
    assert int(found[2]) == pytest.approx(bits.team, rel=0.001)


@pytest.mark.parametrize("decimals", range(7))
def test_the_notes_know_every_number_of_decimals(chart: Path, decimals: int) -> None:
    told = notes(chart, phases=[{**PHASE, "feedback": {"decimals": decimals}}])
    assert f"{compute_disclosed_bits(decimals, 16, 100).snapshot:.1f} bits a point" in told
    assert ("WARNING: practice shows more" in told) == (decimals > 3)


def test_the_notes_warn_of_what_gives_every_label_away(chart: Path) -> None:
    assert "WARNING: practice shows more" in notes(chart, phases=[LEAKY])
    assert "WARNING: practice" not in notes(chart)
