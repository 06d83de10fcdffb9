"""Says which names in the output folder may hold something new: by inotify or, without it, by looking regularly.

Instances and watches of inotify are counted per uid, and the participant, of the same uid, can hold them all. So a
recorder that cannot get one looks into the folder again and again, and takes the first watch that becomes free.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

from inotify_simple import INotify, flags, parse_events

from alcove_recorder.jsonlog import log

_READ = 64 << 10
"""Bytes of events at a time, at most 2048 events: the kernel's queue can hold megabytes."""
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM)
_LOOK_EVERY = 0.05
"""Seconds between two looks, where each is quick."""
_LOOK_SHARE = 0.05
"""Of a core, at most: a long look is followed by a long pause."""
EVENTS_PER_SECOND, EVENTS_AT_ONCE = 500, 10_000
"""What a program may do in the folder and be within its rate (docs/security.md)."""


class EventRate:
    """A token bucket: at most EVENTS_AT_ONCE events, and EVENTS_PER_SECOND more as time goes by."""

    def __init__(self) -> None:
        self._left = float(EVENTS_AT_ONCE)
        self._at = time.monotonic()
        self.exceeded = False

    def count(self, events: int) -> None:
        now = time.monotonic()
        # Events wait in the kernel while this process cannot run: what came meanwhile had all that time.
        self._left = min(self._left, EVENTS_AT_ONCE) + EVENTS_PER_SECOND * (now - self._at) - events
        self._at = now
        self.exceeded |= self._left < 0


class OutputWatch:
    """Watches ``folder`` for files that were closed after writing or moved in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inotify: INotify | None = None
        self._number = -1
        """Of the watch within its instance."""
        self._look_at = 0.0
        self._open = True
        self.rate = EventRate()
        self._watch()

    def _watch(self) -> None:
        try:
            inotify = INotify(nonblocking=True)
        except OSError as error:
            self._tell(error)
            return
        try:
            self._number = inotify.add_watch(self._folder, flags.MOVED_TO | flags.CLOSE_WRITE | flags.ONLYDIR)
        except OSError as error:
            inotify.close()
            self._tell(error)
            return
        self._inotify = inotify
        log("watching")

    def _tell(self, error: OSError) -> None:
        if error.errno not in _USED_UP:
            raise error
        if not self._look_at:
            log("no-inotify", error=str(error))
            self._look_at = time.monotonic()

    @property
    def descriptor(self) -> int | None:
        """To poll for events; None where there is none, and :attr:`look_at` says when to look."""
        return None if self._inotify is None else self._inotify.fileno()

    @property
    def look_at(self) -> float | None:
        """When a look is due, on time.monotonic()'s clock."""
        return self._look_at if self._open and self._inotify is None else None

    def look_due(self) -> bool:
        """Whether the folder has to be looked through now. Tries for a watch first, so that nothing falls between."""
        if self.look_at is None or time.monotonic() < self.look_at:
            return False
        self._watch()
        return True

    def looked(self, seconds: float) -> None:
        """A look took so much of a processor; what it waited for one is no part of that, or stamps would be late."""
        self._look_at = time.monotonic() + max(_LOOK_EVERY, seconds * (1 / _LOOK_SHARE - 1))

    def read(self) -> tuple[list[str], bool]:
        """Names with something new, one piece of all there are, and whether the kernel lost some. Does not block."""
        if self._inotify is None:
            return [], False
        try:
            events = parse_events(os.read(self._inotify.fileno(), _READ))
        except BlockingIOError:
            return [], False
        self.rate.count(len(events))
        lost = any(event.mask & flags.Q_OVERFLOW for event in events)
        return [event.name for event in events if event.name], lost

    def close(self) -> None:
        """Nothing is looked for any more; what is queued can still be read."""
        if self._open and self._inotify is not None:
            with suppress(OSError):  # the folder is gone, and the watch with it
                self._inotify.rm_watch(self._number)
        self._open = False
