"""Names of the parts of a dataset, as people write them on folders and in columns."""

from __future__ import annotations

import re
from array import array
from typing import Literal

import numpy as np
import numpy.typing as npt

from alcove_toolkit.errors import SourceError

SourcePart = Literal["train", "test", "validation"]
_NAMES: dict[str, SourcePart] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(
        ("val", "valid", "validation", "validate", "validating", "dev", "eval", "evaluation"), "validation"
    ),
}
_PART_LIKE = frozenset(("fold", "holdout", "unseen", "query", "gallery"))
_ADDED = re.compile(
    "set|data|dataset|split|part|images?|imgs?|pictures?|videos?|clips?|audios?|files?|[0-9]{4}"
)
"""What stands beside a part's name: ``training_set``, ``test-images``, ``val2017``."""

THIRD_PART_REMEDY = "A dataset has two parts: move these examples into train or test, or leave them out."


def find_part(name: str) -> SourcePart | None:
    """The part that a name means; None where it is a name of something else."""
    words = re.sub("([a-z])([0-9])", r"\1 \2", name.casefold())
    words = re.sub("^(train(?:ing)?|test(?:ing)?|val(?:id(?:ation)?)?)(set|data)", r"\1 \2", words)
    found = [word for word in re.split(r"[\W_]+", words) if word and not _ADDED.fullmatch(word)]
    return _NAMES.get(found[0]) if len(found) == 1 else None


def mentions_part(name: str) -> bool:
    """Whether a part's name is a word of it, or it is a fold, without being a part's name: ``my_train``, ``fold1``."""
    words = re.split(r"[\W_]+", re.sub("([a-z])([0-9])", r"\1 \2", name.casefold()))
    return any(word in _NAMES or word in _PART_LIKE for word in words)


class PartCollector:
    """Collects the part of each item. A source may call what is held out test or validation, but not have both."""

    def __init__(self) -> None:
        self._held_out = array("b")
        self._first: dict[SourcePart, tuple[str, str]] = {}

    def add(self, name: str, where: str) -> None:
        """The next item's part, as the source names it. Raises SourceError where it names none."""
        part = find_part(name)
        if part is None:
            raise SourceError(
                where,
                f"the split is {name!r}",
                remedy="Write train or test; or leave the column out: --drop split.",
            )
        self._first.setdefault(part, (name, where))
        self._held_out.append(part != "train")

    def build(self) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
        """Which items are in test, and a note where the source calls that part validation.

        Raises:
            SourceError: there are three parts.
        """
        validation = self._first.get("validation")
        if validation and "test" in self._first:
            name, where = validation
            raise SourceError(
                where, f"is in a third part, {name!r}, beside train and test", remedy=THIRD_PART_REMEDY
            )
        notes = (f"The part {validation[0]!r} is the test part.",) if validation else ()
        return np.array(self._held_out, bool), notes
