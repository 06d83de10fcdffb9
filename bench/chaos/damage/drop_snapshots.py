"""The recorder takes no notice of every third prediction that it has seen."""

from __future__ import annotations

from itertools import count

from alcove_recorder.capture import Capture

_take, _seen = Capture._take, count(1)


def _take_two_of_three(self: Capture, name: str, seen_ns: int) -> None:
    if next(_seen) % 3:
        _take(self, name, seen_ns)
    else:
        self._known[name] = self._identity(name)


Capture._take = _take_two_of_three  # type: ignore[method-assign]
