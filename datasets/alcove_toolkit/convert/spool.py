"""Features that come in one order and are wanted in another: kept on disk, never in memory."""

from __future__ import annotations

import os
import pickle
from array import array
from pathlib import Path
from types import TracebackType
from typing import cast

from alcove_format.writer import Features


class FeatureSpool:
    """A file of its own in ``folder``; whoever makes it removes the folder. First all is appended, then read."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "spool").open("w+b", buffering=1 << 20)
        self._ends = array("q", [0])

    def __enter__(self) -> FeatureSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, features: Features) -> None:
        # A file of this process's own, so its pickles can be trusted.
        self._ends.append(self._ends[-1] + self._file.write(pickle.dumps(features, pickle.HIGHEST_PROTOCOL)))

    def flush(self) -> None:
        """To be called between the last ``append`` and the first ``read``."""
        self._file.flush()

    def read(self, item: int) -> Features:
        """What was appended as number ``item``. Past the buffer, which would fetch far more than one item."""
        start, end = self._ends[item], self._ends[item + 1]
        return cast(Features, pickle.loads(os.pread(self._file.fileno(), end - start, start)))
