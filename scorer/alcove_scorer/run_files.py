"""One run from files: what ``alcove score`` does."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from alcove_crds.documents import Manifest
from alcove_scorer.curves import NANO, Rules, axis, counted_seconds
from alcove_scorer.errors import InputError
from alcove_scorer.predictions import Kind, kind_of, parse_solution
from alcove_scorer.scoring import Outcome, RunScorer, Snapshot


@dataclass(frozen=True)
class Listed:
    """A snapshot as its list names it: ``seconds`` since the go, None where it is ``refused`` already."""

    number: int
    name: str
    kind: Kind
    seconds: float | None
    path: Path | None
    sha256: str | None = None
    refused: str = ""


def score_files(solution: Path, snapshots: Path, settings: Rules) -> tuple[dict[int, str], Outcome]:
    """Names of the snapshots by number, and what the run is worth. Raises InputError."""
    truth = parse_solution(_read(solution, "a solution: .npy, or text rows of 0/1"), str(solution))
    listed = tuple(list_snapshots(snapshots, settings.budget))
    scorer = RunScorer(settings, truth)
    for item in listed:
        if item.seconds is None or item.path is None:
            scorer.refuse(item.number, item.name, item.refused)
            continue
        if item.seconds > settings.budget:
            scorer.add(item.number, item.name, item.seconds, Snapshot(item.kind, 0, ()))
            continue
        data = _read(item.path, "a prediction that its list names")
        if item.sha256 is not None and hashlib.sha256(data).hexdigest() != item.sha256:
            raise InputError(
                f"{item.path}: its bytes changed since they were recorded; expected sha256 {item.sha256}"
            )
        scorer.add(item.number, item.name, item.seconds, Snapshot(item.kind, len(data), (data,)))
    return {item.number: item.name for item in listed}, scorer.outcome()


def list_snapshots(folder: Path, budget: float) -> Iterator[Listed]:
    """Snapshots in the order of ``times.csv`` or of the recorder's manifest, never of the directory."""
    times, manifest = folder / "times.csv", folder / "manifest.json"
    if times.is_file():
        yield from _from_times(folder, times)
    elif manifest.is_file():
        yield from _from_manifest(folder, manifest, budget)
    else:
        raise InputError(f"{folder}: expected a folder with times.csv (header file,seconds) or manifest.json")


def _from_times(folder: Path, times: Path) -> Iterator[Listed]:
    try:
        rows = list(csv.reader(times.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{times}: cannot be read as CSV ({error}); expected the header file,seconds"
        ) from None
    if not rows or [cell.strip() for cell in rows[0]] != ["file", "seconds"]:
        raise InputError(f"{times}: row 1: expected the header file,seconds")
    seen: set[str] = set()
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != 2:
            raise InputError(f"{times}: row {number}: expected two columns, file and seconds; got {len(row)}")
        name, text = row[0].strip(), row[1].strip()
        path = folder / name
        if not name or Path(name).name != name or not path.is_file():
            raise InputError(f"{times}: row {number}, column file: expected a file in {folder}; got {name!r}")
        if name in seen:
            raise InputError(
                f"{times}: row {number}, column file: {name!r} is listed twice; expected it once"
            )
        seen.add(name)
        yield Listed(number - 1, name, kind_of(name), _seconds(text, times, number), path)


def _seconds(text: str, times: Path, number: int) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(
            f"{times}: row {number}, column seconds: expected a number of at least 0; got {text!r}"
        )
    return seconds


def _from_manifest(folder: Path, path: Path, budget: float) -> Iterator[Listed]:
    try:
        manifest = Manifest.model_validate_json(_read(path, "a recorder's manifest"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: field {where!r}: {first['msg']}; expected a recorder's manifest") from None
    for record in manifest.records:
        kind: Kind = "npy" if record.kind == "npy" else "text"
        if record.refused is not None:
            yield Listed(record.seq, record.name, kind, None, None, refused=record.refused)
            continue
        counted = counted_seconds(record.t_ns, record.seen_ns, budget)
        seconds = record.t_ns / NANO if counted is None else counted
        data = folder / "snap" / f"{record.seq:08d}.bin"
        yield Listed(record.seq, record.name, kind, seconds, data, record.sha256)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise InputError(f"{path}: cannot be read ({reason}); expected {what}") from None


def as_document(names: dict[int, str], outcome: Outcome, settings: Rules) -> dict[str, object]:
    return {
        "alc": outcome.alc,
        "final_score": outcome.final_score,
        "points": [
            {"file": names[p.number], "seconds": p.seconds, "x": axis(p.seconds, settings), "score": p.score}
            for p in outcome.points
        ],
        "refused": [{"file": refusal.name, "reason": refusal.reason} for refusal in outcome.refused],
        "scheme": settings.scheme,
        "t0": settings.t0,
        "budget": settings.budget,
    }


def as_text(names: dict[int, str], outcome: Outcome, settings: Rules) -> str:
    lines = [f"{'seconds':>10}  {'x':>6}  {settings.metric.name:>17}  file"]
    lines += [
        f"{p.seconds:>10.3f}  {axis(p.seconds, settings):>6.4f}  {p.score:>17.6f}  {names[p.number]}"
        for p in outcome.points
    ]
    lines += [f"refused: {refusal.name}: {refusal.reason}" for refusal in outcome.refused]
    if outcome.final_score is None:
        lines.append(f"no valid prediction: the curve stays at its start value, ALC {outcome.alc:.6f}")
    else:
        lines.append(f"ALC {outcome.alc:.6f}, final score {outcome.final_score:.6f}")
    lines.append(f"scheme {settings.scheme}, t0 {settings.t0:g} s, budget {settings.budget:g} s")
    return "\n".join(lines)
