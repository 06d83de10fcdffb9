"""Parting the items of a source into train and test.

Everything is drawn from one seeded generator over items in an order that the source's content gives, so the same
source and seed part the same way.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from alcove_toolkit.convert.base import ItemKeys, SourceItems
from alcove_toolkit.convert.choices import SHIFTS, How, ShiftBy
from alcove_toolkit.convert.labels import ItemLabels
from alcove_toolkit.convert.number_labels import find_numbers
from alcove_toolkit.errors import SourceError

ODDS = 9.0
"""With a shift by class, the odds of an example of a held-out class to be in test are this many times the others'."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    how: How | None = None
    """By default ``given`` where the source has a split, ``group`` where it has groups, else ``stratified``."""
    by: ShiftBy | None = None
    hold_out: tuple[str, ...] = ()
    """Names of classes, groups or sources that a shift keeps for test; by default they are drawn."""
    test_fraction: float = 0.35
    seed: int = 0


@dataclass(frozen=True)
class Split:
    is_test: Mask
    text: str
    """How they were parted and in what test differs, one line, for the metadata. Without the seed: who has the
    original could draw the same split with it, and look up test's labels."""
    notes: tuple[str, ...]


def split_items(
    items: SourceItems, request: SplitRequest, sizes: Callable[[], npt.NDArray[np.float64]]
) -> Split:
    """Parts the items. ``sizes`` is called for a shift by size alone.

    Raises:
        SourceError: it cannot be done so: one side would be empty, a class has one example, no groups are known…
    """
    rng = np.random.default_rng(request.seed)
    how = request.how or _default(items, request)
    _check_request(how, request)
    target = round(request.test_fraction * len(items))
    if how != "given" and not 0 < target < len(items):
        raise SourceError(
            f"--test-fraction {request.test_fraction:g}",
            f"leaves {'test' if target == 0 else 'train'} empty: there are {len(items)} examples",
            remedy="Choose another fraction, or give more examples.",
        )
    if how == "given":
        mask, text = _given(items), "given: as in the source"
    elif how == "stratified":
        if items.labels.are_numbers:
            mask, text = (
                _by_size_of_numbers(items.labels, target, rng),
                "stratified: by the size of the numbers",
            )
        else:
            mask = _stratified(items, target, rng)
            text = "stratified: train and test have the same share of each label"
    elif how == "random":
        mask, text = _random(len(items), target, rng), "random"
    elif how == "group":
        mask = _whole(_keys(items.group, "group", "--split group"), target, rng)
        text = "group: no group is in both train and test"
    else:
        mask, text = _shift(items, request, target, rng, sizes)
    if mask.all() or not mask.any():
        raise SourceError(
            f"--split {how}",
            f"would leave {'train' if mask.all() else 'test'} empty",
            remedy="Give more examples, hold out fewer, or choose another split.",
        )
    share = f" ({np.mean(mask):.0%} of all examples are in test)"
    return Split(mask, text + share, _label_notes(items.labels, mask))


def _check_request(how: How, request: SplitRequest) -> None:
    """Refuses what would have no effect."""
    if how != "shift" and (request.by or request.hold_out):
        raise SourceError(
            f"--split {how}",
            "holds nothing out",
            remedy="Choose --split shift, or leave --shift-by and --hold-out.",
        )
    named = how == "given" or (request.hold_out and request.by in ("group", "source"))
    if named and request.test_fraction != SplitRequest.test_fraction:
        raise SourceError(
            "--test-fraction",
            f"has no effect: {'the source has a split' if how == 'given' else '--hold-out says what is in test'}",
            remedy="Leave it out, or have a split drawn (--split stratified).",
        )


def _default(items: SourceItems, request: SplitRequest) -> How:
    if request.by:
        return "shift"
    if items.is_test is not None:
        return "given"
    # Who names groups wants none of them in both parts.
    return "stratified" if items.group is None else "group"


def _given(items: SourceItems) -> Mask:
    mask = items.is_test
    if mask is None:
        raise SourceError(
            "--split given",
            "the source has no split of its own",
            remedy="Give it folders train and test, or a column split; or choose another way.",
        )
    return mask


def _random(n: int, target: int, rng: np.random.Generator) -> Mask:
    mask = np.zeros(n, bool)
    mask[rng.permutation(n)[:target]] = True
    return mask


def _stratified(items: SourceItems, target: int, rng: np.random.Generator) -> Mask:
    """Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) of two parts: rarest label first.

    With one label an example this is the usual stratified split.
    """
    labels = items.labels
    counts = np.bincount(labels.indices, minlength=len(labels.names))
    single = (np.diff(labels.offsets) == 1).all()
    for label in np.flatnonzero(counts == 1).tolist() if single else ():
        item = (
            int(np.searchsorted(labels.offsets, np.flatnonzero(labels.indices == label)[0], side="right")) - 1
        )
        remedy = "Remove it, give more, or choose --split random."
        if find_numbers(labels.names) is not None:
            remedy += " If these are numbers to predict, pass --regression."
        raise SourceError(
            items.where(item),
            f"is the only example of label {labels.names[label]!r}, which cannot be in both train and test",
            remedy=remedy,
        )
    members = _members(labels)
    left = counts.astype(np.int64)
    wanted = counts * (target / len(items))
    assigned, mask = np.zeros(len(items), bool), np.zeros(len(items), bool)
    excess = 0.0
    while left.any():
        label = int(np.argmin(np.where(left > 0, left, np.iinfo(np.int64).max)))
        candidates = members[label][~assigned[members[label]]]
        # What rounding has given test too much or too little is made up for, by less than one example a label. With
        # several labels an example the next label has it already, in what it still wants.
        number = round(wanted[label] - (np.clip(excess, -0.5, 0.5) if single else 0))
        if len(candidates) == counts[label] > 1:
            number = max(1, min(number, len(candidates) - 1))
        number = max(0, min(number, len(candidates)))
        excess += number - max(0.0, wanted[label])
        chosen = rng.permutation(candidates)[:number]
        mask[chosen] = assigned[candidates] = True
        np.subtract.at(left, _labels_of(labels, candidates), 1)
        np.subtract.at(wanted, _labels_of(labels, chosen), 1)
    without = np.flatnonzero(~assigned)
    mask[rng.permutation(without)[: max(0, target - int(mask.sum()))]] = True
    return mask


def _by_size_of_numbers(labels: ItemLabels, target: int, rng: np.random.Generator) -> Mask:
    """Of every few examples that follow each other by the mean rank of their numbers, one at random is in test."""
    table = labels.scores.reshape(len(labels), -1)
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in table.T], axis=1)
    order = np.lexsort((rng.permutation(len(labels)), ranks.mean(axis=1)))
    mask = np.zeros(len(labels), bool)
    edges = np.linspace(0, len(labels), target + 1).round().astype(np.int64)
    for start, end in pairwise(edges.tolist()):
        mask[order[rng.integers(start, end)]] = True
    return mask


def _members(labels: ItemLabels) -> list[npt.NDArray[np.int64]]:
    """Items of each label."""
    items = np.repeat(np.arange(len(labels)), np.diff(labels.offsets))
    order = np.argsort(labels.indices, kind="stable")
    ends = np.searchsorted(labels.indices[order], np.arange(len(labels.names) + 1))
    return [items[order[start:end]] for start, end in pairwise(ends)]


def _labels_of(labels: ItemLabels, items: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Labels of some items, one after the other."""
    chosen = np.zeros(len(labels), bool)
    chosen[items] = True
    flat: npt.NDArray[np.int32] = labels.indices[np.repeat(chosen, np.diff(labels.offsets))]
    return flat


def _keys(keys: ItemKeys | None, what: str, option: str) -> ItemKeys:
    """``option``: what asked for them, as it was typed."""
    if keys is None:
        raise SourceError(
            option,
            f"no {what} is known",
            remedy=f"Name the column with --{what}-column, or the level of folders with --folders.",
        )
    if len(keys.names) < 2:
        raise SourceError(
            option,
            f"all examples have the {what} {keys.names[0]!r}",
            remedy="There must be two or more, since each goes to one side as a whole.",
        )
    return keys


def _whole(keys: ItemKeys, target: int, rng: np.random.Generator) -> Mask:
    """Draws whole groups for test until it has about ``target`` examples; at least one on each side."""
    sizes = np.bincount(keys.codes, minlength=len(keys.names))
    chosen: list[int] = []
    total = 0
    for group in rng.permutation(len(keys.names)).tolist():
        if abs(total + sizes[group] - target) <= abs(total - target) and len(chosen) < len(keys.names) - 1:
            chosen.append(group)
            total += int(sizes[group])
    return np.isin(keys.codes, chosen or [int(np.argmin(sizes))])


def _shift(
    items: SourceItems,
    request: SplitRequest,
    target: int,
    rng: np.random.Generator,
    sizes: Callable[[], npt.NDArray[np.float64]],
) -> tuple[Mask, str]:
    by, names = request.by, request.hold_out
    if by is None:
        raise SourceError(
            "--split shift", "does not say what shifts", remedy=f"Add --shift-by: {', '.join(SHIFTS)}."
        )
    if by == "size":
        if names:
            raise SourceError("--hold-out", "sizes have no names", remedy="Leave it out.")
        measured = sizes()
        order = np.lexsort((rng.permutation(len(items)), measured))
        mask = np.zeros(len(items), bool)
        mask[order[-target:]] = True
        return mask, "shift by size: test has the largest examples, train the others"
    if by == "class" and items.labels.are_numbers:
        raise SourceError(
            "--shift-by class", "numbers have no classes", remedy=f"Shift by another of: {', '.join(SHIFTS)}."
        )
    if by == "class":
        return _shift_by_class(items, names, target, rng)
    keys = _keys(items.group if by == "group" else items.source, by, f"--shift-by {by}")
    codes = _codes(names, keys.names, by)
    mask = np.isin(keys.codes, codes) if codes else _whole(keys, target, rng)
    held = _some([keys.names[code] for code in np.unique(keys.codes[mask])])
    return mask, f"shift by {by}: test alone has {held}, train the others"


def _shift_by_class(
    items: SourceItems, names: tuple[str, ...], target: int, rng: np.random.Generator
) -> tuple[Mask, str]:
    """Label shift: the held-out classes are rare in train and frequent in test. Each stays in both, or it could not be
    learnt."""
    labels = items.labels
    codes = (
        _codes(names, labels.names, "class")
        or rng.permutation(len(labels.names))[: max(1, len(labels.names) // 2)].tolist()
    )
    held = np.zeros(len(items), bool)
    held[np.repeat(np.arange(len(items)), np.diff(labels.offsets))[np.isin(labels.indices, codes)]] = True
    share, other_share = _shares(int(held.sum()), int((~held).sum()), target)
    mask = np.zeros(len(items), bool)
    members = _members(labels)
    # By the rarest label of each example, so that every class keeps one in each part.
    rarest = np.full(len(items), -1)
    for label in sorted(range(len(members)), key=lambda k: (-len(members[k]), k)):
        rarest[members[label]] = label
    for label in range(-1, len(members)):
        of_label = np.flatnonzero(rarest == label)
        for part, fraction in ((of_label[held[of_label]], share), (of_label[~held[of_label]], other_share)):
            number = round(fraction * len(part))
            if len(part) > 1:
                number = max(1, min(number, len(part) - 1))
            mask[rng.permutation(part)[:number]] = True
    names = tuple(labels.names[code] for code in sorted(codes))
    return mask, (
        f"shift by class: of the examples of {_some(names)} {np.mean(mask[held]):.0%} are in test, "
        f"of the others {np.mean(mask[~held]) if (~held).any() else 0:.0%}"
    )


def _shares(held_out: int, remaining: int, target: int) -> tuple[float, float]:
    """Shares of the held-out and of the other examples that go to test, so that it gets ``target`` in all."""
    low, high = 0.0, 1.0
    for _ in range(60):
        share = (low + high) / 2
        odds = ODDS * share / (1 - share)
        if held_out * odds / (1 + odds) + remaining * share < target:
            low = share
        else:
            high = share
    odds = ODDS * low / (1 - low)
    return odds / (1 + odds), low


def _codes(names: tuple[str, ...], known: tuple[str, ...], what: str) -> list[int]:
    names = tuple(unicodedata.normalize("NFC", name) for name in names)
    for name in names:
        if name not in known:
            raise SourceError(
                f"--hold-out {name}", f"there is no such {what}", remedy=f"There are: {_some(known)}."
            )
    return [known.index(name) for name in names]


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(map(repr, names[:8])) + more


def _label_notes(labels: ItemLabels, is_test: Mask) -> tuple[str, ...]:
    """Labels that one part lacks."""
    if labels.are_numbers:
        return ()
    of_test = np.repeat(is_test, np.diff(labels.offsets))
    notes = []
    for part, other, indices in (
        ("train", "which cannot learn them", labels.indices[~of_test]),
        ("test", "where they cannot be scored", labels.indices[of_test]),
    ):
        missing = np.flatnonzero(np.bincount(indices, minlength=len(labels.names)) == 0)
        if len(missing):
            names = _some([labels.names[i] for i in missing])
            notes.append(f"No example in {part} has the labels {names}: {other}.")
    return tuple(notes)
