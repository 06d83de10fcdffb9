"""A file of scores to ranks, with their uncertainty: what ``alcove rank`` does."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_scorer.csv_files import parse_number, quote_cell, read_rows
from alcove_scorer.curves import CurveRules
from alcove_scorer.differences import ROPE, Difference, compare_with_first
from alcove_scorer.errors import InputError
from alcove_scorer.nested_bootstrap import Table
from alcove_scorer.performance_profile import TAU_MAX, profile_shares, time_ratios
from alcove_scorer.rank_uncertainty import SOURCES, Source, Uncertainty, measure_uncertainty
from alcove_scorer.ranks import (
    METHODS,
    Method,
    Ranking,
    combine_repeats,
    rank_participants,
)
from alcove_scorer.scoring import LARGEST_SCORE
from alcove_scorer.significance import Friedman, critical_difference, friedman_test, kendall_w

Floats = npt.NDArray[np.float64]
MOST_RANKS = 100_000_000
"""Of a bootstrap, participants × resamples: they are in memory at once, some 20 bytes each."""


@dataclass(frozen=True)
class ScoreTable:
    """``scores``: participants × datasets × repeats, NaN where a run is missing."""

    participants: tuple[str, ...]
    datasets: tuple[str, ...]
    scores: Floats
    reference: Floats | None = None
    """Of times: a row, one for each dataset, that counts for the fastest and is not ranked."""


@dataclass(frozen=True)
class RankOptions:
    method: Method = "average"
    penalty: float = 1.0
    baseline: str | None = None
    alpha: float = 0.05
    intervals: int = 1000
    seed: int = 0
    lower_is_better: bool = False
    """Of scores that are errors or times."""
    tau_max: float = TAU_MAX
    """Of the performance profile."""
    reference: str | None = None
    """The row that counts for the fastest time of the performance profile and is not ranked."""
    uncertainty: Source = "datasets"
    """What else could have been, when it is said how sure ranks are."""
    predictions: Path | None = None
    """Folder with the predictions of every run, for test examples that could have been others."""
    rules: CurveRules | None = None
    """How these are scored."""
    leave_out: tuple[str, ...] = ()
    """Columns of the table that are no datasets."""
    rope: float = ROPE
    """Differences of scores up to this are of no practical meaning."""

    @property
    def of_times(self) -> bool:
        """Whether the table holds seconds until a target, empty or ``inf`` where it was not reached."""
        return self.method == "performance-profile"

    @property
    def sign(self) -> float:
        """What scores are multiplied by so that higher is better."""
        return -1.0 if self.lower_is_better or self.of_times else 1.0

    def __post_init__(self) -> None:
        if not 1e-9 <= self.alpha < 1:
            raise InputError(f"--alpha {self.alpha:g}: expected a level between 0 and 1, at least 1e-9")
        if not 0 <= self.penalty <= LARGEST_SCORE:
            raise InputError(f"--penalty {self.penalty:g}: expected a number from 0 to {LARGEST_SCORE:g}")
        if not 0 <= self.intervals <= 100_000:
            raise InputError(f"--intervals {self.intervals}: expected a number of resamples from 0 to 100000")
        if self.lower_is_better and self.method in ("relative", "relative-difference"):
            raise InputError(
                f"--lower-is-better: expected another method than {self.method}, of which higher scores are better"
            )
        if not 1 < self.tau_max <= LARGEST_SCORE:
            raise InputError(
                f"--tau-max {self.tau_max:g}: expected a factor above 1, and at most {LARGEST_SCORE:g}"
            )
        if self.reference is not None and not self.of_times:
            raise InputError(f"--reference: expected --method performance-profile; got {self.method}")
        if self.predictions is not None and (self.of_times or self.uncertainty not in ("examples", "all")):
            raise InputError("--predictions: expected --uncertainty examples or all, and a table of scores")
        if not 0 <= self.rope <= LARGEST_SCORE:
            raise InputError(f"--rope {self.rope:g}: expected a difference of scores of at least 0")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: expected a whole number of at least 0")


@dataclass(frozen=True)
class RankedTable:
    """``scores``: what was ranked, participants × datasets. ``uncertainty``: None where it was not asked for."""

    scores: Floats
    ranking: Ranking
    uncertainty: Uncertainty | None
    friedman: Friedman | None
    cd: float | None
    kendall_w: float | None
    differences: tuple[Difference, ...] = ()
    """Of the first to the others, of a table of scores."""
    ratios: Floats | None = None
    """Of a performance profile: times over the fastest of their dataset, infinite where the target was not reached."""


def parse_method(name: str) -> Method:
    for known in METHODS:
        if name == known:
            return known
    raise InputError(f"--method {name!r}: expected one of: {', '.join(METHODS)}")


def parse_source(name: str) -> Source:
    for known in SOURCES:
        if name == known:
            return known
    raise InputError(f"--uncertainty {name!r}: expected one of: {', '.join(SOURCES)}")


def read_table(path: Path, options: RankOptions) -> ScoreTable:
    """Reads the CSV. Raises InputError that names the row and the column."""
    read_cell = _seconds if options.of_times else _cell
    rows = read_rows(path, "one row a participant")
    header, columns = _read_header(path, rows, options.leave_out)
    repeat = header.index("repeat") if "repeat" in header[1:] else None
    cells: dict[tuple[str, int], list[float]] = {}
    for row, found in enumerate(rows[1:], start=2):
        if not found:
            continue
        if len(found) != len(header):
            raise InputError(f"{path}: row {row}: expected {len(header)} columns; got {len(found)}")
        name = _clean_name(found[0])
        key = (name, 0 if repeat is None else _repeat(found[repeat], path, row))
        if name.lower() in _SUMMARIES:
            raise InputError(
                f"{path}: row {row}, column 1: expected a participant; got {quote_cell(found[0])}: remove the row, or "
                "give it another name if it is one"
            )
        if not name or key in cells:
            once = f"each participant once{', or a column repeat' if repeat is None else ' a repeat'}"
            wanted = once if name else "a name"
            raise InputError(
                f"{path}: row {row}, column {header[0]}: expected {wanted}; got {quote_cell(found[0])}"
            )
        cells[key] = [read_cell(found[i], path, row, header[i]) for i in columns]
    if not cells:
        raise InputError(f"{path}: row 2: expected at least one participant")
    participants = tuple(dict.fromkeys(name for name, _ in cells))
    repeats = sorted({number for _, number in cells})
    scores = np.full((len(participants), len(columns), len(repeats)), np.nan)
    places = {name: i for i, name in enumerate(participants)}
    for (name, run), values in cells.items():
        scores[places[name], :, repeats.index(run)] = values
    return _set_reference(ScoreTable(participants, tuple(header[i] for i in columns), scores), options)


def _read_header(
    path: Path, rows: list[list[str]], leave_out: tuple[str, ...]
) -> tuple[list[str], list[int]]:
    """The names of all columns, and which are datasets: all but the first, ``repeat`` and those to leave out."""
    header = [_clean_name(cell) for cell in rows[0]] if rows else []
    header = [name.lower() if name.lower() == "repeat" else name for name in header]
    if _SEPARATOR_LINE.fullmatch(",".join(header)):
        raise InputError(f"{path}: row 1: expected a header; got a line that names the separator: remove it")
    columns = [i for i, name in enumerate(header) if i > 0 and name not in ("repeat", *leave_out)]
    for name in leave_out:
        if name not in header[1:] or name == "repeat":
            raise InputError(f"{path}: row 1: --leave-out {name!r}: expected a column after the first")
    names = {header[i] for i in columns} - {""}
    if not columns or len(names) != len(columns) or header.count("repeat") > 1:
        raise InputError(
            f"{path}: row 1: expected a header: the participant, then a column of its own name a dataset, with commas "
            "between"
        )
    numbers = [header[i] for i in columns if parse_number(header[i]) is not None]
    if numbers and not _is_numbering(numbers):
        raise InputError(
            f"{path}: row 1: expected a header; got numbers ({quote_cell(numbers[0])}), which may be the scores of a "
            "participant"
        )
    first = [row[0] for row in rows[1:] if row]
    if header[0].lower() in _INDEX_NAMES and first and all(map(str.isdecimal, first)):
        raise InputError(
            f"{path}: row 1, column 1: expected the participant; got an index, or a rank ({quote_cell(header[0])}): "
            "remove the column"
        )
    _check_columns(path, header, columns)
    return header, columns


def _check_columns(path: Path, header: list[str], columns: list[int]) -> None:
    """Refuses what is no dataset's column of scores, and a table that lies on its side."""
    for i in columns:
        name = header[i].lower()
        if name in _INDEX_NAMES | _SUMMARIES or name in _REPEATS:
            left_out = (
                f"leave it out (--leave-out {quote_cell(header[i])})" if header[i] else "remove the column"
            )
            remedy = f"name it repeat, or {left_out}" if name in _REPEATS else left_out
            raise InputError(
                f"{path}: row 1, column {i + 1}: expected a dataset; got {quote_cell(header[i])}: {remedy}, or give "
                "it another name if it is one"
            )
    if header[0].lower() in _SIDEWAYS:
        raise InputError(
            f"{path}: row 1, column 1: expected the participant; got {quote_cell(header[0])}: give a row to each "
            "participant and a column to each dataset"
        )


def _clean_name(cell: str) -> str:
    """A Mac may write an accent as a character of its own."""
    return unicodedata.normalize("NFC", " ".join(cell.split()))


_INDEX_NAMES = frozenset(("", "unnamed: 0", "index", "#", "rank", "place", "position"))
"""Of a first column of whole numbers that are no participants: pandas writes one without a name."""
_SUMMARIES = frozenset(
    ("id", "mean", "average", "avg", "avg.", "median", "sum", "total", "overall", "std", "average rank", "avg rank",
     "mean rank", "avg. rank", "rank sum", "wins", "published")
)  # fmt: skip
"""What stands beside scores, or below them."""
_REPEATS = frozenset(("seed", "fold", "run", "trial", "repetition"))
_SIDEWAYS = frozenset(
    ("dataset", "datasets", "data set", "data sets", "task", "tasks", "problem", "problems")
)
_SEPARATOR_LINE = re.compile(r"\"?sep=.*", re.IGNORECASE)


def _is_numbering(cells: list[str]) -> bool:
    """Whether they are the numbers of datasets: whole, and each one more than the last."""
    whole = [int(cell) for cell in cells if cell.isascii() and cell.isdecimal() and len(cell) < 19]
    return len(whole) == len(cells) and whole == list(range(whole[0], whole[0] + len(whole)))


def _repeat(text: str, path: Path, row: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise InputError(
            f"{path}: row {row}, column repeat: expected the number of the repeat; got {quote_cell(text)}"
        )
    return int(text)


def _cell(text: str, path: Path, row: int, column: str) -> float:
    if not text:
        return math.nan
    value = parse_number(text)
    if value is None or not abs(value) <= LARGEST_SCORE:
        raise InputError(
            f"{path}: row {row}, column {column}: expected a finite number (at most {LARGEST_SCORE:g}), or an empty "
            f"cell for a missing run; got {quote_cell(text)}"
        )
    return value


def _seconds(text: str, path: Path, row: int, column: str) -> float:
    if text.lower() in ("", "inf"):
        return math.nan
    value = parse_number(text)
    if value is None or not 0 < value <= LARGEST_SCORE:
        raise InputError(
            f"{path}: row {row}, column {column}: expected seconds above 0, or inf or an empty cell where the target "
            f"was not reached; got {quote_cell(text)}"
        )
    return value


def _set_reference(table: ScoreTable, options: RankOptions) -> ScoreTable:
    """Takes the reference out of the participants."""
    name = options.reference
    if name is None:
        return table
    if name not in table.participants or len(table.participants) == 1:
        raise InputError(f"--reference {name!r}: expected a participant of the table, and others beside it")
    i = table.participants.index(name)
    remaining = (*table.participants[:i], *table.participants[i + 1 :])
    reference = combine_repeats(table.scores[i : i + 1], 0.0)[0]
    return ScoreTable(remaining, table.datasets, np.delete(table.scores, i, axis=0), reference)


def rank_table(table: ScoreTable, options: RankOptions) -> RankedTable:
    """Raises InputError for a baseline that is not in the table or has no score, and for more
    resamples than memory has room for.
    """
    # Where lower is better, ranks are those of the negated scores; what is shown are the scores themselves.
    sign, penalty = options.sign, options.penalty if options.method == "mean-minus-std" else 0.0
    repeats = sign * table.scores
    scores = combine_repeats(repeats, penalty)
    if options.method == "relative-difference" and np.nanmin(scores, initial=0.0) < 0:
        raise InputError("--method relative-difference: expected scores of at least 0; got one below")
    baseline = _baseline(table, scores, options, np.arange(scores.shape[1]))
    ranking = rank_participants(scores, options.method, baseline)
    ratios = time_ratios(-scores, table.reference) if options.of_times else None
    participants, datasets = scores.shape
    cd = critical_difference(participants, datasets, options.alpha)
    return RankedTable(
        sign * scores,
        ranking,
        # Of Kemeny's order no interval is known that holds what it promises.
        _measure(table, repeats, penalty, ranking, options)
        if options.intervals and options.method != "kemeny"
        else None,
        friedman_test(ranking.ranks),
        cd,
        kendall_w(ranking.ranks),
        ()
        if options.of_times
        else tuple(compare_with_first(scores, ranking.order, options.rope, options.seed)),
        ratios,
    )


def _measure(
    table: ScoreTable, repeats: Floats, penalty: float, ranking: Ranking, options: RankOptions
) -> Uncertainty:
    participants, datasets = repeats.shape[:2]
    most = MOST_RANKS // (participants * (1 if options.uncertainty == "datasets" else datasets))
    if options.intervals > most:
        raise InputError(
            f"--intervals {options.intervals}: expected at most {most} resamples of {participants} participants"
        )
    uncertain = Table(repeats, penalty)
    if options.predictions is not None and options.rules is not None:
        from alcove_scorer.example_files import resample_folder

        names = (table.participants, table.datasets)
        uncertain = resample_folder(
            options.predictions, *names, repeats, penalty, options.rules, options.intervals, options.seed
        )

    def find_baseline(scores: Floats, columns: npt.NDArray[np.int64]) -> Floats | None:
        return _baseline(table, scores, options, columns)

    return measure_uncertainty(
        uncertain, options.uncertainty, ranking, find_baseline, options.intervals, options.seed
    )


def _baseline(
    table: ScoreTable, scores: Floats, options: RankOptions, columns: npt.NDArray[np.int64]
) -> Floats | None:
    """What the method compares with. ``scores``: of the datasets with the numbers ``columns``.

    Raises InputError where the table has no such participant, or no score of it.
    """
    if options.of_times:
        reference = None if table.reference is None else table.reference[columns]
        return profile_shares(time_ratios(-scores, reference), options.tau_max)
    if options.method != "relative":
        return None
    if options.baseline not in table.participants:
        raise InputError(
            f"--baseline {options.baseline!r}: expected a participant of the table, for --method relative"
        )
    row: Floats = scores[table.participants.index(options.baseline)]
    for column, value in zip(columns.tolist(), row.tolist(), strict=True):
        if not value < 1:
            got = "no score" if math.isnan(value) else f"{value:g}"
            raise InputError(
                f"--baseline {options.baseline}: column {table.datasets[column]}: expected a score below 1; got {got}"
            )
    return row
