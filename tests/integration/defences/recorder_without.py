"""python -I recorder_without.py DEFENCE: the recorder with one defence switched off, for its tests alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from alcove_recorder import capture, disk_use, formats, recorder, watch
from alcove_recorder.__main__ import main
from alcove_recorder.jsonlog import log


def stamp_when_seen() -> None:
    take = capture.Capture._take

    def early(self: Any, name: str, seen_ns: int) -> None:
        self._now = lambda: seen_ns
        try:
            take(self, name, seen_ns)
        finally:
            del self._now

    capture.Capture._take = early  # type: ignore[method-assign]


def follow_links() -> None:
    capture._OPEN &= ~os.O_NOFOLLOW


def take_any_file() -> None:
    vars(capture)["stat"] = SimpleNamespace(S_ISREG=lambda _: True)


def take_any_size() -> None:
    formats.size_limit = lambda *_: 1 << 40


def take_any_header() -> None:
    formats.check = lambda *_: None


def hold_any_number_of_names() -> None:
    def note(self: Any, name: str, seen: int) -> bool:
        self._waiting.setdefault(name, seen)
        return True

    capture.Capture._note = note  # type: ignore[method-assign]


def answer_anybody() -> None:
    recorder.Recorder._is_supervisor = lambda *_: True  # type: ignore[method-assign]
    accept = recorder.Recorder._accept

    def any_number(self: Any) -> None:
        self._connected_once = False
        accept(self)

    recorder.Recorder._accept = any_number  # type: ignore[method-assign]


def keep_no_rate() -> None:
    watch.EventRate.count = lambda *_: None  # type: ignore[method-assign]


def look_away_from_the_disk() -> None:
    check = disk_use.check_disk_use

    def look_away(folders: Sequence[Path], most_bytes: int) -> None:
        try:
            check(folders, most_bytes)
        except disk_use.TooMuchError:
            log("looked-away-once-it-held-more")

    disk_use.check_disk_use = look_away


SWITCHES: dict[str, Callable[[], None]] = {
    switch.__name__: switch
    for switch in (
        stamp_when_seen,
        follow_links,
        take_any_file,
        take_any_size,
        take_any_header,
        hold_any_number_of_names,
        answer_anybody,
        keep_no_rate,
        look_away_from_the_disk,
    )
}

if __name__ == "__main__":
    SWITCHES[sys.argv[1]]()
    main(0)
