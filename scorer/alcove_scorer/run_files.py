"""One run from files: what ``alcove score`` does."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from alcove_api.run_documents import Manifest
from alcove_api.schemes import BALANCED_ACCURACY
from alcove_api.score_text import format_score
from alcove_scorer.csv_files import (
    describe_unreadable,
    make_printable,
    parse_number,
    quote_cell,
    read_bytes,
    read_rows,
)
from alcove_scorer.curves import NANO, CurveRules, axis_position, counted_seconds
from alcove_scorer.errors import InputError, first_fault
from alcove_scorer.metrics import Metric, Solution, predicts_numbers, require_two_class
from alcove_scorer.predictions import Kind, parse_kind
from alcove_scorer.regression_metrics import require_varied
from alcove_scorer.scoring import RunOutcome, RunScorer, Snapshot
from alcove_scorer.solutions import parse_for_metric
from alcove_scorer.time_to_target import find_target_at_snapshot, find_target_on_curve

PIECE = 1 << 20
PREDICTION = "a prediction that its list names"
LATEST_NS = 2**63 - 1


@dataclass(frozen=True)
class ListedSnapshot:
    """A snapshot as its list names it: ``seconds`` since the go, None where it is ``refused`` already."""

    number: int
    name: str
    kind: Kind
    seconds: float | None
    path: Path | None
    sha256: str | None = None
    refused: str = ""


def score_files(solution: Path, snapshots: Path, settings: CurveRules) -> tuple[dict[int, str], RunOutcome]:
    """Names of the snapshots by number, and what the run is worth. Raises InputError, and SolutionError."""
    truth = load_solution(solution, settings.metric)
    listed = tuple(list_snapshots(snapshots, settings.budget))
    scorer = RunScorer(settings, truth)
    for item in listed:
        if item.seconds is None or item.path is None:
            scorer.refuse(item.number, item.name, item.refused)
        elif item.seconds > settings.budget:
            scorer.add(item.number, item.name, item.seconds, Snapshot(item.kind, 0, ()))
        else:
            size = find_size(item.path)
            pieces = read_pieces(item.path, item.sha256)
            scorer.add(item.number, item.name, item.seconds, Snapshot(item.kind, size, pieces))
    return {item.number: item.name for item in listed}, scorer.outcome()


def load_solution(path: Path, metric: Metric) -> Solution:
    """Test examples × labels, or × numbers. Raises InputError, and SolutionError, where nothing could be scored."""
    truth = parse_for_metric(
        read_bytes(path, "a solution: .npy, or text rows of 0/1 or of numbers"), str(path), metric
    )
    try:
        if predicts_numbers(metric):
            require_varied(truth)
        else:
            require_two_class(np.count_nonzero(truth, axis=0), len(truth))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return truth


def find_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise describe_unreadable(path, error, PREDICTION) from None


def read_pieces(path: Path, sha256: str | None) -> Iterator[bytes]:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                yield piece
    except OSError as error:
        raise describe_unreadable(path, error, PREDICTION) from None
    if sha256 is not None and digest.hexdigest() != sha256:
        raise InputError(f"{path}: its bytes changed since they were recorded; expected sha256 {sha256}")


def list_snapshots(folder: Path, budget: float) -> Iterator[ListedSnapshot]:
    """Snapshots in the order of ``times.csv`` or of the recorder's manifest, never of the directory."""
    wanted = "a folder with times.csv (header file,seconds) or manifest.json"
    try:
        with os.scandir(folder) as entries:
            present = {entry.name for entry in entries if entry.is_file()}
    except OSError as error:
        raise describe_unreadable(folder, error, wanted) from None
    if "times.csv" in present:
        yield from _from_times(folder, present)
    elif "manifest.json" in present:
        yield from _from_manifest(folder, folder / "manifest.json", budget)
    else:
        raise InputError(
            f"{folder}: neither times.csv nor manifest.json is there; expected {wanted}{_name_recorded(folder)}"
        )


def _name_recorded(folder: Path) -> str:
    """Of what ``alcove run --out`` wrote: the folder of one run, which lies some levels below."""
    below = (*folder.glob("runs/*/*/*/manifest.json"), *folder.glob("*/runs/*/*/*/manifest.json"))
    return f", such as {min(below).parent}" if below else ""


def _from_times(folder: Path, present: set[str]) -> Iterator[ListedSnapshot]:
    times = folder / "times.csv"
    rows = read_rows(times, "the header file,seconds and a row a prediction")
    if not rows or rows[0] != ["file", "seconds"]:
        raise InputError(f"{times}: row 1: expected the header file,seconds")
    seen: set[str] = set()
    for row, cells in enumerate(rows[1:], start=2):
        if not cells:
            continue
        if len(cells) != 2:
            raise InputError(f"{times}: row {row}: expected two columns, file and seconds; got {len(cells)}")
        name, seconds = cells[0], parse_number(cells[1])
        if name not in present:
            raise InputError(
                f"{times}: row {row}, column file: expected the name of a file in {folder}; got {quote_cell(name)}"
            )
        if name in seen:
            raise InputError(
                f"{times}: row {row}, column file: {quote_cell(name)} is listed twice; expected it once"
            )
        if seconds is None or not 0 <= seconds < math.inf:
            raise InputError(
                f"{times}: row {row}, column seconds: expected a number of at least 0; got {quote_cell(cells[1])}"
            )
        seen.add(name)
        yield ListedSnapshot(row - 1, name, parse_kind(name), seconds, folder / name)


def _from_manifest(folder: Path, path: Path, budget: float) -> Iterator[ListedSnapshot]:
    wanted = "a recorder's manifest"
    try:
        manifest = Manifest.model_validate_json(read_bytes(path, wanted))
    except ValidationError as error:
        field, fault = first_fault(error)
        where = f"field {field}: " if field else ""
        raise InputError(f"{path}: {where}{fault}; expected {wanted}") from None
    for record in manifest.records:
        kind: Kind = "npy" if record.kind == "npy" else "text"
        if record.refused is not None:
            yield ListedSnapshot(record.seq, record.name, kind, None, None, refused=record.refused)
            continue
        if not (0 <= record.seen_ns <= LATEST_NS and 0 <= record.t_ns <= LATEST_NS and record.seq >= 0):
            raise InputError(f"{path}: record {record.seq}: expected times from 0 to {LATEST_NS} ns")
        counted = counted_seconds(record.t_ns, record.seen_ns, budget)
        seconds = record.t_ns / NANO if counted is None else counted
        data = folder / "snap" / f"{record.seq:08d}.bin"
        yield ListedSnapshot(record.seq, record.name, kind, seconds, data, record.sha256)


def check_target(target: float | None) -> None:
    """Raises InputError where it is not a finite number."""
    if target is not None and not math.isfinite(target):
        raise InputError(f"--target {target:g}: expected a finite score")


def target_times(outcome: RunOutcome, settings: CurveRules, target: float) -> dict[str, float | None]:
    """When the run reached that score, in seconds since the go; None where it did not."""
    return {
        "score": target,
        "seconds": find_target_on_curve(outcome.points, settings, target),
        "seconds_at_snapshot": find_target_at_snapshot(outcome.points, target),
    }


def as_document(
    names: dict[int, str], outcome: RunOutcome, settings: CurveRules, target: float | None = None
) -> dict[str, object]:
    times = {} if target is None else {"target": target_times(outcome, settings, target)}
    return {
        **times,
        "alc": outcome.alc,
        "final_score": outcome.final_score,
        "points": [
            {
                "file": names[p.number],
                "seconds": p.seconds,
                "x": axis_position(p.seconds, settings),
                "score": p.score,
            }
            for p in outcome.points
        ],
        "range": [outcome.lowest, outcome.highest] if outcome.points else None,
        "refused": [{"file": refusal.name, "reason": refusal.reason} for refusal in outcome.refused],
        "scheme": settings.scheme,
        "t0": settings.t0,
        "budget": settings.budget,
    }


def range_note(outcome: RunOutcome, settings: CurveRules) -> str:
    """What to say of values that are no probabilities, where the metric takes them as such; empty where all are."""
    lowest, highest = outcome.lowest, outcome.highest
    if settings.metric.name != BALANCED_ACCURACY or not outcome.points:
        return ""
    values = f"values from {lowest:g} to {highest:g}"
    if highest < 0.5:
        return f"{values}: none reaches 0.5, from which on a label counts as present"
    if lowest >= 0 and highest <= 1:
        return ""
    kind = "percent" if lowest >= 0 and 2 < highest <= 100 else "scores that are no probabilities"
    return f"{values}: expected 0 to 1, as a label counts as present from 0.5 on; are they {kind}?"


def _target_text(times: dict[str, float | None], chance: float) -> str:
    target, seconds, at_snapshot = times["score"], times["seconds"], times["seconds_at_snapshot"]
    if target is not None and target <= chance and seconds is not None:
        by = "no prediction" if at_snapshot is None else f"a prediction at {at_snapshot:.3f} s"
        return f"target {target:g} is not above chance ({chance:g}), at which every curve starts; reached by {by}"
    if seconds is None:
        return f"target {target:g} not reached"
    if at_snapshot is None:
        return f"target {target:g} reached at {seconds:.3f} s on the curve, by no prediction"
    return (
        f"target {target:g} reached at {seconds:.3f} s on the curve, by a prediction at {at_snapshot:.3f} s"
    )


def as_text(
    names: dict[int, str], outcome: RunOutcome, settings: CurveRules, target: float | None = None
) -> str:
    lines = [f"{'seconds':>10}  {'x':>6}  {settings.metric.name:>17}  file"]
    lines += [
        f"{p.seconds:>10.3f}  {axis_position(p.seconds, settings):>6.4f}  {format_score(p.score, 6):>17}  "
        f"{make_printable(names[p.number])}"
        for p in outcome.points
    ]
    lines += [
        f"refused: {make_printable(refusal.name)}: {make_printable(refusal.reason)}"
        for refusal in outcome.refused
    ]
    lines += summarise_outcome(outcome, settings, target)
    return "\n".join(lines)


def summarise_outcome(outcome: RunOutcome, settings: CurveRules, target: float | None = None) -> list[str]:
    """The lines below the table of snapshots: the score, and by which rules it is one."""
    if outcome.alc is None or outcome.final_score is None:
        lines = ["no score: there is no valid prediction"]
    else:
        lines = [f"ALC {format_score(outcome.alc, 6)}, final score {format_score(outcome.final_score, 6)}"]
    if target is not None:
        lines.append(_target_text(target_times(outcome, settings, target), settings.metric.chance))
    if note := range_note(outcome, settings):
        lines.append(note)
    return [*lines, f"scheme {settings.scheme}, t0 {settings.t0:g} s, budget {settings.budget:g} s"]
