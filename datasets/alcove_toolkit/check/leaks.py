"""Whether a label can be told from what should tell nothing of it: order, id, size, one feature alone.

A rule is made on one half of the train sample, the best column is chosen on the other, and only then is it tried on
the test part: once a label and family of columns, so that many columns do not make a finding by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alcove_toolkit.check.findings import Finding, Severity, names
from alcove_toolkit.check.sample import Bools, Floats, Ints

SIGMAS = 6.0
"""Standard deviations from chance: fewer than one in 10⁸ honest labels reach that."""
TELLS, SUSPICIOUS, IS = 0.9, 0.6, 0.98
"""Balanced accuracies of one column: a leak through what means nothing; worth a look; the label itself."""
SORTED, CLUSTERED = 0.5, 0.2
"""Autocorrelations of the labels along the test part: told by the neighbour; worth a look."""
LAGS = 64
BINS = 64
RULE_CELLS, RULE_ROWS = 400_000, 4_000
"""Size of the tables that rules are made from: examples × labels, and examples."""


@dataclass(frozen=True)
class Rule:
    """A column that tells a label."""

    label: int
    column: int
    accuracy: float
    """Balanced, on the test part."""


@dataclass(frozen=True)
class LabelledColumns:
    """Numbers and labels of the same examples."""

    columns: Floats
    labels: Bools


def sensitivity_deviation(positives: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float64]:
    """Standard deviation of the balanced accuracy of a guess, by label: of two means of coin throws."""
    return 0.25 * np.sqrt(1 / np.maximum(positives, 1) + 1 / np.maximum(n - positives, 1))


def find_rules(train: LabelledColumns, test: LabelledColumns) -> list[Rule]:
    """The best column of each label that one of them tells significantly, on the test part.

    A rule is a value's share of the label against the label's share of all, values being cut into ``BINS`` bins.
    """
    labels = train.labels.shape[1]
    rows = min(RULE_ROWS, max(200, RULE_CELLS // labels))
    chosen = np.random.default_rng(0).permutation(len(train.labels))[:rows]
    half = len(chosen) // 2
    one, other = chosen[:half], chosen[half:]
    best = np.zeros(labels)
    column = np.zeros(labels, np.int64)
    truth = {"one": train.labels[one].astype(np.float32), "other": train.labels[other].astype(np.float32)}
    if half == 0:
        return []
    varying = np.flatnonzero(np.ptp(train.columns[chosen], axis=0) > 0)
    for c in varying.tolist():
        says, edges = _rule(train.columns[one, c], truth["one"])
        accuracy = _accuracy(says, _bins(train.columns[other, c], edges), truth["other"])
        better = accuracy > best
        best[better], column[better] = accuracy[better], c
    hopeful = np.flatnonzero(best > SUSPICIOUS)
    positives = test.labels.sum(axis=0, dtype=np.int64)
    scale = sensitivity_deviation(positives, len(test.labels))
    found = []
    for c in np.unique(column[hopeful]).tolist():
        of = hopeful[column[hopeful] == c]
        says, edges = _rule(train.columns[chosen, c], train.labels[np.ix_(chosen, of)].astype(np.float32))
        accuracy = _accuracy(says, _bins(test.columns[:, c], edges), test.labels[:, of].astype(np.float32))
        for label, reached in zip(of.tolist(), accuracy.tolist(), strict=True):
            if reached - 0.5 >= SIGMAS * scale[label]:
                found.append(Rule(label, c, reached))
    return sorted(found, key=lambda rule: (-rule.accuracy, rule.label))


def _rule(values: Floats, truth: Floats) -> tuple[Bools, Floats]:
    """Which labels each bin says, bins × labels, and the edges of the bins."""
    distinct = np.unique(values)
    if len(distinct) > BINS:
        distinct = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]).astype(np.float32))
    edges: Floats = ((distinct[1:].astype(np.float64) + distinct[:-1]) / 2).astype(np.float32)
    hits, counts = _by_bin(_bins(values, edges), truth, len(edges) + 1)
    share = truth.mean(axis=0)
    # One example of the average kind more, so that a bin of one says little.
    return (hits + share) / (counts[:, None] + 1) > share, edges


def _bins(values: Floats, edges: Floats) -> npt.NDArray[np.intp]:
    return np.searchsorted(edges, values)


def _by_bin(bins: npt.NDArray[np.intp], truth: Floats, size: int) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Examples in each bin that have each label, bins × labels; and examples in each bin."""
    counts = np.bincount(bins, minlength=size)
    sums = np.zeros((size, truth.shape[1]), np.float32)
    filled = np.flatnonzero(counts)
    if len(filled):
        starts = np.cumsum(counts)[filled] - counts[filled]
        sums[filled] = np.add.reduceat(truth[np.argsort(bins, kind="stable")], starts, axis=0)
    return sums, counts


def _accuracy(says: Bools, bins: npt.NDArray[np.intp], truth: Floats) -> npt.NDArray[np.float64]:
    """Balanced accuracy by label; 0 where it is present in all or none."""
    hits, counts = _by_bin(bins, truth, len(says))
    positives = hits.sum(axis=0, dtype=np.float64)
    negatives = len(bins) - positives
    true_positives = (hits * says).sum(axis=0, dtype=np.float64)
    false_positives = ((counts[:, None] - hits) * says).sum(axis=0, dtype=np.float64)
    out = (true_positives / np.maximum(positives, 1) + 1 - false_positives / np.maximum(negatives, 1)) / 2
    return np.where((positives > 0) & (negatives > 0), out, 0.0)


def autocorrelation(labels: Bools, lags: Sequence[int]) -> tuple[float, int]:
    """The largest autocorrelation of the rows of labels, and its lag.

    ``labels``: examples × labels, in order. Over all labels together: Σ products of deviations ``lag`` apart over Σ of
    their squares. (0, 0) where none is ``SIGMAS`` standard deviations, 1/√n at most, from that of a random order.
    """
    n = len(labels)
    deviations = labels.astype(np.float32) - labels.mean(axis=0, dtype=np.float32)
    square = float((deviations**2).sum(dtype=np.float64)) / max(n, 1)
    best, at = 0.0, 0
    if square > 0:
        for lag in lags:
            if not 0 < lag < n:
                continue
            product = float(np.einsum("ij,ij->", deviations[:-lag], deviations[lag:], optimize=True)) / (
                n - lag
            )
            if product / square > best and product / square * (n - lag) ** 0.5 >= SIGMAS:
                best, at = product / square, lag
    return best, at


def order_finding(labels: Bools, ids: Ints) -> Finding | None:
    """Whether labels of the test part follow from those of its neighbours, in the order of the files or of the ids."""
    lags = sorted({*range(1, LAGS + 1), labels.shape[1], 2 * labels.shape[1]})
    best, lag = autocorrelation(labels, lags)
    what = "the order of the files"
    order = np.argsort(ids, kind="stable")
    if best < SORTED and len(np.unique(ids)) == len(ids) and (np.diff(order) != 1).any():
        by_id, lag_by_id = autocorrelation(labels[order], lags)
        if by_id > best:
            best, lag, what = by_id, lag_by_id, "the order of the ids"
    if best < CLUSTERED:
        return None
    how = "are like those of the neighbour" if lag == 1 else f"come again after {lag} examples"
    leak = best >= SORTED
    return Finding(
        "label-by-order" if what.endswith("files") else "label-by-id",
        f"test: in {what}, labels {how} (autocorrelation {best:.2f}; 0 in a random order).",
        "Shuffle the test part and the rows of the solution alike"
        + (", and renumber the examples." if what.endswith("ids") else "."),
        "error" if leak else "warning",
    )


def train_order_finding(labels: Bools) -> Finding | None:
    """Whether train is sorted by label: no leak, but whoever reads part of it sees few of the labels."""
    best, _ = autocorrelation(labels, [1])
    if best < SORTED:
        return None
    return Finding(
        "train-sorted",
        f"train: examples of one label lie together (autocorrelation {best:.2f}; 0 in a random order).",
        "Shuffle it: who learns from the first examples within the budget sees few of the labels.",
        "warning",
    )


def id_columns(ids: Ints, labels: int) -> Floats:
    """What may be hidden in an id: itself, and its remainders."""
    moduli = sorted({*range(2, 33), labels, 50, 64, 100, 128, 256, 1000} - {0, 1})
    columns = [ids.astype(np.float32), *((ids % m).astype(np.float32) for m in moduli)]
    return np.stack(columns, axis=1)


def id_finding(train: LabelledColumns, test: LabelledColumns, labels: Sequence[str]) -> Finding | None:
    """``columns`` are those of :func:`id_columns`."""
    told = [rule for rule in find_rules(train, test) if rule.accuracy >= SUSPICIOUS]
    if not told:
        return None
    severity: Severity = "error" if told[0].accuracy >= TELLS else "warning"
    return Finding(
        "label-by-id",
        f"test: the ids reveal {_which(told, labels)}.",
        "Shuffle the examples (and the rows of the solution in the same way), and renumber them.",
        severity,
    )


def column_findings(
    train: LabelledColumns,
    test: LabelledColumns,
    labels: Sequence[str],
    code: str,
    name: Callable[[int], str],
) -> list[Finding]:
    """Whether one column of what belongs to the example is the label: it can be so by nature."""
    least = IS if code == "label-by-feature" else TELLS
    told = [rule for rule in find_rules(train, test) if rule.accuracy >= least]
    if not told:
        return []
    columns = list(dict.fromkeys(rule.column for rule in told))
    more = f", and {len(columns) - 3} more," if len(columns) > 3 else ""
    listed = ", ".join(name(c) for c in columns[:3]) + more
    finding = Finding(
        code,
        f"test: {listed} alone {'tell' if len(columns) > 1 else 'tells'} {_which(told, labels)}.",
        "Is it known before the label is? If not, take it out; if so, the label is easy and ranks nobody.",
        "warning",
    )
    return [finding]


def _which(told: list[Rule], labels: Sequence[str]) -> str:
    listed = names([labels[rule.label] for rule in told])
    return f"{'labels' if len(told) > 1 else 'label'} {listed} (balanced accuracy on test up to {told[0].accuracy:.2f})"
