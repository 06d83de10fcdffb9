"""What only all examples together can tell: ids, duplicates, balance of the classes, shape of the solution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alcove_api.schemes import Task
from alcove_api.words import count_of
from alcove_format.label_counts import find_two_class
from alcove_format.metadata import Metadata
from alcove_format.solution import SolutionTable, Targets
from alcove_toolkit.check.findings import Finding, count, error, names, warning
from alcove_toolkit.check.part import PartFacts

FEW = 10
"""Test examples with a label, or without it; of fewer, one more right answer moves its score by 0.05."""
LARGE = 1 << 28
"""Bytes of one example as an array that are told."""
COPIED = 0.05
"""Share of the test part that may be in train, too."""
REPEATED = 0.01
"""Share of a part that may repeat within it without a word."""


def metadata_findings(train: Metadata, test: Metadata) -> list[Finding]:
    """Whether the two parts go together."""
    found = []
    for field in ("n_labels", "shape", "format", "stated_task"):
        one, other = getattr(train, field), getattr(test, field)
        if one != other:
            found.append(
                error(
                    "parts-differ",
                    f"metadata.textproto: {field.removeprefix('stated_')} is {one} in train, but {other} in test.",
                    "Write both parts alike.",
                )
            )
    maps = {
        "labels": "label_to_index_map",
        "features": "feature_to_index_map",
        "channel_names": "channel_to_index_map",
    }
    for field, word in maps.items():
        one, other = getattr(train, field), getattr(test, field)
        differ = sorted(name for name in one.keys() & other.keys() if one[name] != other[name])
        if differ:
            found.append(
                error(
                    "parts-differ",
                    f"metadata.textproto: {word} gives {names(differ)} another index in train than in test.",
                    "Write both parts with the same names.",
                )
            )
    return found


def size_findings(metadata: Metadata) -> list[Finding]:
    """Whether an example fits the memory of those who read it."""
    size = 4 * metadata.numbers * max(1, metadata.sequence_size)
    if metadata.is_token_sequence or size < LARGE:
        return []
    return [
        warning(
            "too-wide",
            f"metadata.textproto: an example has {size // 4:,} numbers, which is {size / (1 << 30):.1f} GiB as the "
            "array that readers make of it.",
            "Few programs can hold a batch of them: renumber the columns, or hash them to fewer.",
        )
    ]


def id_findings(part: PartFacts) -> list[Finding]:
    """A part's ids must differ. Numbers other than 0, 1, 2, … are only odd."""
    ids = np.array(part.ids, np.int64)
    found: list[Finding] = []
    missing = np.flatnonzero(ids == -1)
    if len(missing):
        found.append(
            warning(
                "no-id",
                f"{part.where(int(missing[0]))}: has no id, as {len(missing):,} of {len(ids):,} of {part.name}.",
                "Number them 0, 1, 2, …; the order of the files counts all the same.",
            )
        )
    order = np.argsort(ids, kind="stable")
    same = np.flatnonzero((np.diff(ids[order]) == 0) & (ids[order][1:] != -1))
    if len(same):
        again, first = int(order[same[0] + 1]), int(order[same[0]])
        more = f" So are {len(same) - 1:,} more of {part.name}." if len(same) > 1 else ""
        found.append(
            error(
                "duplicate-id",
                f"{part.where(again)}: id {ids[again]} was there before, in {part.where(first)}.{more}",
                "Number the examples of a part.",
            )
        )
    elif part.whole and not len(missing) and len(ids) and not (ids[order] == np.arange(len(ids))).all():
        found.append(
            warning(
                "odd-ids",
                f"{part.name}: ids run from {ids.min()} to {ids.max()}, and are not 0 to {len(ids) - 1}.",
                "They are harmless in themselves. If they can reveal where an example comes from, renumber them.",
            )
        )
    return found


def count_repeated(hashes: npt.NDArray[np.uint64]) -> int:
    """Examples that are the same as an earlier one."""
    return len(hashes) - len(np.unique(hashes))


def find_copies(train: PartFacts, test: PartFacts) -> npt.NDArray[np.intp]:
    """Positions of the test examples whose features are those of a train example."""
    return np.flatnonzero(np.isin(np.array(test.hashes, np.uint64), np.array(train.hashes, np.uint64)))


def duplicate_findings(train: PartFacts, test: PartFacts) -> list[Finding]:
    """Examples that are there twice.

    Rows of a table with few columns repeat by nature, in test as often as within train: that alone is no sign of a
    copy. Of pictures, sounds and texts it always is.
    """
    found: list[Finding] = []
    for part in (train, test):
        hashes = np.array(part.hashes, np.uint64)
        again = count_repeated(hashes)
        if len(hashes) > 1 and again == len(hashes) - 1:
            found.append(
                error("constant", f"{part.name}: all examples are the same.", "Check what was converted.")
            )
        elif again > max(2, REPEATED * len(hashes)):
            found.append(
                warning(
                    "repeated",
                    f"{part.name}: {again:,} examples of {len(hashes):,} repeat an earlier one.",
                    "Leave repetitions out, unless they are in the nature of the data.",
                )
            )
    shared = find_copies(train, test)
    if len(shared):
        found.append(_shared(train, test, shared))
    return found


def _shared(train: PartFacts, test: PartFacts, shared: npt.NDArray[np.intp]) -> Finding:
    share = len(shared) / len(test)
    hashes = np.array(train.hashes, np.uint64)
    first = int(np.flatnonzero(hashes == test.hashes[int(shared[0])])[0])
    natural = 0.0
    if train.metadata.domain == "tabular":
        _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        natural = float((counts[inverse] > 1).mean())
    # Three standard deviations of a share of the test part.
    margin = 3 * (natural * (1 - natural) / len(test)) ** 0.5
    verb = "is" if len(shared) == 1 else "are"
    return Finding(
        "in-both-parts",
        f"{count(len(shared), 'test example')} of {len(test):,} ({100 * share:.3g} %) {verb} in train as well, "
        f"the first in {test.where(int(shared[0]))} and {train.where(first)}.",
        "Leave them out of one part: who remembers them scores without having learned.",
        "error" if share > COPIED and share > natural + margin else "warning",
    )


def is_shift(metadata: Metadata) -> bool:
    """Whether the metadata declare that test differs from train."""
    return metadata.split.startswith("shift")


def can_be_scored(table: SolutionTable | Targets | npt.NDArray[np.bool_]) -> bool:
    """Whether any label is present in some rows and absent in others."""
    return bool(find_two_class(table.sum(axis=0, dtype=np.int64), len(table)).any())


def solution_findings(table: SolutionTable | Targets, metadata: Metadata, name: str) -> list[Finding]:
    """Whether it has a row an example and a column a label (or target), and something to be scored."""
    rows, labels = table.shape
    if rows != metadata.n_examples:
        return [
            error(
                "solution-rows",
                f"{name}: has {count_of(rows, 'row')}, but the test part has "
                f"{count_of(metadata.n_examples, 'example')}.",
                "Give one row for each, in the order of the sample files.",
            )
        ]
    if labels != metadata.n_labels:
        return [
            error(
                "solution-columns",
                f"{name}: has {count_of(labels, 'number')} a row, but output_dim in test/metadata.textproto is "
                f"{metadata.n_labels}.",
                "Give one number for each label.",
            )
        ]
    if metadata.is_regression:
        return _constant_targets(table, metadata, name)
    if not can_be_scored(table):
        return [
            error(
                "nothing-to-score",
                f"{name}: no label is present in some test examples and absent in others, so nothing can be scored.",
                "Check that the columns are labels.",
            )
        ]
    return []


def _constant_targets(table: SolutionTable | Targets, metadata: Metadata, name: str) -> list[Finding]:
    constant = np.flatnonzero((table == table[:1]).all(axis=0))
    if not len(constant):
        return []
    listed = names([metadata.label_names[i] for i in constant.tolist()])
    everything = len(constant) == table.shape[1]
    return [
        Finding(
            "nothing-to-score" if everything else "target-not-scored",
            f"{name}: {listed} {'is' if len(constant) == 1 else 'are'} the same in all test examples"
            + (", so nothing can be scored." if everything else "."),
            "Check the columns, or split again."
            if everything
            else "It is left out of the score: leave it out.",
            "error" if everything else "warning",
        )
    ]


def task_findings(train: PartFacts) -> list[Finding]:
    """Whether training examples are labelled as the metadata's task says."""
    each = train.labels.per_example()
    if train.metadata.stated_task != "multiclass" or (each == 1).all():
        return []
    odd = int(np.flatnonzero(each != 1)[0])
    return [
        error(
            "task-differs",
            f"{train.where(odd)}: has {each[odd]} labels, but the task in train/metadata.textproto is multiclass.",
            "Give each example exactly one label, or state the task multilabel in both parts.",
        )
    ]


def find_task(train: PartFacts) -> Task:
    """As the metadata state it; else by the labels of the training examples."""
    if train.metadata.stated_task is not None:
        return train.metadata.stated_task
    each = train.labels.per_example()
    return "multiclass" if len(each) and (each == 1).all() else "multilabel"


def balance_findings(train: PartFacts, table: SolutionTable, name: str) -> list[Finding]:
    """Labels that cannot be learned, or not be scored."""
    labels = train.metadata.label_names
    in_train, in_test = train.labels.counts(), table.sum(axis=0, dtype=np.int64)
    found: list[Finding] = []

    def tell(code: str, which: npt.NDArray[np.bool_], what: str, remedy: str) -> None:
        chosen = np.flatnonzero(which)
        if len(chosen):
            verb = "is" if len(chosen) == 1 else "are"
            listed = names([labels[i] for i in chosen.tolist()])
            found.append(
                warning(
                    code,
                    f"{count(len(chosen), 'label')} of {len(labels)} {verb} {what}: {listed}.",
                    remedy,
                )
            )

    if not is_shift(train.metadata):
        tell(
            "label-not-in-train", (in_train == 0) & (in_test > 0), "in test but in no training example",
            "Nobody can learn what was never shown. Split again, or make it a declared shift.",
        )  # fmt: skip
    tell(
        "label-not-scored", (in_test == 0) | (in_test == len(table)), "in none or all of the test examples",
        "Such a label is left out of the score. Split again, or leave it out.",
    )  # fmt: skip
    fewer = np.minimum(in_test, len(table) - in_test)
    tell(
        "label-rare", (fewer > 0) & (fewer < FEW), f"in fewer than {FEW} test examples, or in all but so few",
        "One example more or less moves its score a lot. If a phase shows points on all of these few, no rows are left "
        "that could rank alone, and all rows rank. Take more test examples, or leave it out.",
    )  # fmt: skip
    found += _one_label_each(train, table, name)
    return found


def _one_label_each(train: PartFacts, table: SolutionTable, name: str) -> list[Finding]:
    each = train.labels.per_example()
    if train.metadata.n_labels == 1 or not len(each):
        return []
    odd = np.flatnonzero(table.sum(axis=1, dtype=np.int64) != 1)
    if (each == 1).all() and len(odd):
        return [
            warning(
                "labels-per-example",
                f"{name}, row {odd[0] + 1}: has {int(table[odd[0]].sum())} labels; {len(odd):,} of {len(table):,} rows "
                "do not have exactly one, as every training example has.",
                "Check that train and solution were labelled alike.",
            )
        ]
    return []
