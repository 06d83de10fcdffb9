"""``alcove preflight``: what an organizer is told is missing, and that feedback gives away."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.feedback import compute_disclosed_bits, compute_ladder_bits
from alcove_cli.preflight import describe_feedback, describe_problems
from alcove_operator.core.model import CompetitionView
from alcove_operator.index import Index
from alcove_operator.preparation import find_problems

from .conftest import Typed

PHASE = {"name": "practice", "datasets": ["digits"], "budget": {"seconds": 20}}
LEAKY = {**PHASE, "feedback": {"decimals": 4, "testFraction": 1.0, "maxSnapshots": 32}}


def write(folder: Path, *documents: object) -> Path:
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


def test_values_and_manifests_are_read_alike(alcove: Typed, tmp_path: Path) -> None:
    spec = {"phases": [PHASE]}
    values = alcove("preflight", write(tmp_path, {"competition": {"spec": spec}}))
    kind = {"apiVersion": "alcove.dev/v1alpha1", "kind": "Competition", "metadata": {"name": "one"}}
    manifest = alcove("preflight", write(tmp_path, {"kind": "Dataset"}, {**kind, "spec": spec}))
    assert (values.returncode, manifest.returncode) == (0, 0)
    assert values.stdout == manifest.stdout
    assert "WARNING" not in values.stdout
    bits = compute_disclosed_bits(3, 16, 100)
    assert (
        f"at most {bits.snapshot:.1f} bits about the hidden labels a point, {bits.run:.0f} a run"
        in values.stdout
    )
    assert f"and {bits.team:.0f} to a team" in values.stdout
    assert max(map(len, values.stdout.splitlines())) <= 120


def test_settings_that_give_more_away_are_warned_of(alcove: Typed, tmp_path: Path) -> None:
    spec = {"phases": [LEAKY], "scoring": {"metric": "mine"}}
    told = alcove("preflight", write(tmp_path, {"competition": {"spec": spec}})).stdout
    for said in ("decimals is 4", "testFraction is 1", "maxSnapshots is 32", "metric mine"):
        assert f"WARNING: {said}" in told or f"span of the {said}" in told


@pytest.mark.parametrize("step", [None, 0.01])
def test_a_ladders_bits_are_those_of_all_submissions(step: float | None) -> None:
    phase = {**PHASE, "feedback": {"mode": "ladder", **({} if step is None else {"step": step})}}
    lines = describe_feedback(CompetitionSpec.model_validate({"phases": [phase]}), {"digits": 150})
    told = " ".join(" ".join(lines).split())
    assert f"at most {compute_ladder_bits(step, 3, 100):.0f} bits about the hidden labels to a team" in told
    assert "A team could read all of the 45 shown labels of digits" in told
    assert "the Ladder is of 45 of 150 hidden labels: at most 45 bits." in told
    assert "a point" not in told


def test_a_ladder_that_ranks_in_the_end_is_warned_of() -> None:
    ladder = {**PHASE, "feedback": {"mode": "ladder"}}
    final = {**PHASE, "name": "final", "from": {"phase": "practice"}, "revealsAt": "2026-06-01T00:00:00Z"}
    for phases, warned in (([ladder], True), ([ladder, final], False)):
        lines = describe_feedback(CompetitionSpec.model_validate({"phases": phases}), {})
        assert any("practice ranks by the rows that it shows" in line for line in lines) == warned
        assert all(len(line) <= 120 for line in lines)
        assert "python -m bench.ladder_attack" in lines[-1]


def test_points_tell_of_the_labels_that_are_shown_and_whole_numbers_of_all() -> None:
    spec = CompetitionSpec.model_validate({"phases": [PHASE], "limits": {"total": 2}})
    told = " ".join(" ".join(describe_feedback(spec, {"digits": 300})).split())
    bits = compute_disclosed_bits(3, 16, 2)
    assert bits.run == 18 * bits.snapshot
    assert "digits: points are of 90 of 300 hidden labels." in told
    run, team = round(90 + 2 * bits.snapshot), round(90 + 4 * bits.snapshot)
    assert f"With these, a run gives away at most {run} bits, and all runs {team}." in told
    assert compute_disclosed_bits(3, 16, 100, hidden=300, fraction=0.3).team == 300
    assert compute_disclosed_bits(3, 16, 2, hidden=10**6, fraction=0.3) == bits


@pytest.mark.parametrize("mode", ["live", "ladder"])
def test_numbers_to_predict_are_not_counted_in_bits(mode: str) -> None:
    phase = {**PHASE, "feedback": {"mode": mode, "decimals": 6}, "scoring": {"metric": "r2"}}
    told = " ".join(describe_feedback(CompetitionSpec.model_validate({"phases": [phase]}), {"digits": 1}))
    assert (
        "The metric r2 is of numbers: how much a point tells of a hidden number is not computed in bits."
        in told
    )
    assert "WARNING: with many decimals, a score gives away one number after the other." in told
    assert "at most" not in told


@pytest.mark.parametrize(
    ("scoring", "fractions", "said"),
    [
        ({}, (0.3, 0.3), ""),
        ({"rankedRows": "all"}, (0.3, 0.3), "rankedRows is all"),
        ({}, (0.3, 0.2), "phases practice and final show other parts of digits"),
        ({}, (1.0, 1.0), "shows all rows of digits"),
    ],
)
def test_rows_that_are_shown_and_rank_are_warned_of(
    scoring: dict[str, str], fractions: tuple[float, float], said: str
) -> None:
    phases = [
        {**PHASE, "name": name, "feedback": {"testFraction": fraction}}
        for name, fraction in zip(("practice", "final"), fractions, strict=True)
    ]
    lines = describe_feedback(CompetitionSpec.model_validate({"phases": phases, "scoring": scoring}), {})
    of_rows = [line for line in lines if line.startswith("WARNING")]
    assert bool(of_rows) == bool(said)
    assert all(said in line for line in of_rows)


PINNED = "registry.example.org/ingestion@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("images", "takes_from", "warned"),
    [
        ({}, True, ["images.ingestion", "images.ingestionNumpy"]),
        ({"ingestion": PINNED, "ingestionNumpy": "mine:1"}, True, ["images.ingestionNumpy"]),
        ({"ingestionNumpy": PINNED}, True, ["images.ingestion"]),
        ({}, False, []),
        ({"ingestion": "registry.example.org/ingestion:1"}, True, ["images.ingestion"]),
        ({"ingestion": PINNED}, True, []),
        ({"ingestion": PINNED, "ingestionTorch": "mine:1"}, True, ["images.ingestionTorch"]),
    ],
)
def test_an_image_that_can_be_another_in_the_final_is_warned_of(
    images: dict[str, str], takes_from: bool, warned: list[str]
) -> None:
    later = {"opensAt": "2027-03-01T00:00:00Z", "revealsAt": "2027-03-09T00:00:00Z"}
    final = {**PHASE, "name": "final", "datasets": ["photos"], **later}
    final |= {"from": {"phase": "practice"}} if takes_from else {}
    spec = CompetitionSpec.model_validate({"phases": [PHASE, final], "images": images})
    told = [line for line in describe_feedback(spec, {}) if "the code of practice again" in line]
    assert [line.split()[1] for line in told] == warned
    assert all(line.startswith("WARNING: ") and len(line) <= 120 for line in told)


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        (80, ["One run could read all of the 24 shown", "A team could read all of the 80 hidden"]),
        (1000, ["A team could read all of the 1000 hidden"]),
        (10_000, ["A team could read all of the 3000 shown"]),
        (10**6, []),
    ],
)
def test_a_test_set_that_could_be_read_is_named(hidden: int, said: list[str]) -> None:
    phase = {**PHASE, "datasets": ["moving-digits"]}
    lines = describe_feedback(CompetitionSpec.model_validate({"phases": [phase]}), {"moving-digits": hidden})
    warnings = [line for line in lines if "WARNING" in line]
    assert all(wanted in line and len(line) <= 120 for wanted, line in zip(said, warnings, strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n", "has no Competition"),
        ("competition: {spec: {phases: []}}\n", "spec.phases"),
        ("{", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(alcove: Typed, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    done = alcove("preflight", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_missing_is_named_by_phase() -> None:
    late = {
        **PHASE,
        "name": "final",
        "datasets": ["digits", "hidden"],
        "opensAt": "2026-05-01T08:00:00+02:00",
    }
    spec = CompetitionSpec.model_validate({"phases": [PHASE, late]})
    competition = CompetitionView("hack", "cup", "u", spec, CompetitionStatus())
    lines = describe_problems(competition, list(find_problems(competition, Index())))
    assert [line for line in lines if line.startswith("MISSING")] == [
        "MISSING in phase practice:", "MISSING in phase final (opens 2026-05-01 06:00 UTC):"
    ]  # fmt: skip
    assert sum("names the Dataset digits" in line for line in lines) == 2
    assert sum("Apply a Dataset of that name" in line for line in lines) == 3
    assert describe_problems(competition, []) == ["Nothing is missing: all 2 phases can take submissions."]
