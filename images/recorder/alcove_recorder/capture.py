"""Takes prediction files: sees them, copies them, stamps the copies. The only code that is on the clock.

A participant owns the directory and may do anything in it at any moment. What counts is the copy: the stamp
is taken when its last byte is in, and nothing written later can change it. (Content can change after a rename
without ctime or mtime moving, so file times say nothing.)
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from alcove_api.run_documents import RunConfig
from alcove_recorder import formats
from alcove_recorder.errors import RefusedError
from alcove_recorder.jsonlog import log
from alcove_recorder.spool import CapturedFile, FileIdentity, RunSpool
from alcove_recorder.watch import OutputWatch

_CHUNK = 16 << 20
_LISTED_AT_MOST = 100_000
_READS_BEFORE_GO = 10_000
"""More than the kernel's queue has pieces; only a free constructor could go on adding to it."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_OPEN_REFUSALS = {
    errno.ELOOP: "It is a symbolic link; only regular files are taken.",
    errno.ENXIO: "It is not a regular file.",
    errno.ENOENT: "It was gone before it could be copied: leave a prediction where it is for a while.",
    errno.EACCES: "It cannot be read: leave its mode at 0600 or wider.",
    errno.EWOULDBLOCK: "It is locked by a lease.",
}


class Capture:
    """``taken`` is called with each captured file, already on the spool, in order.

    Times are CLOCK_MONOTONIC in nanoseconds; captured files carry them since ``t0_ns``, which is set at the go.
    Whatever is held of a participant's names is bounded by the count of files that the run may still have.
    """

    def __init__(
        self, run: RunConfig, out: Path, spool: RunSpool, taken: Callable[[CapturedFile], None]
    ) -> None:
        self._run, self._spool, self._taken = run, spool, taken
        self._out = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.watch = OutputWatch(out)
        self.t0_ns: int | None = None
        self.trouble: str | None = None
        """What went wrong that is not the participant's doing."""
        self._waiting: dict[str, int] = {}
        """Names seen and not taken yet, with when: several events of one name at a time are one content."""
        self._known: dict[str, FileIdentity | None] = {file.name: file.identity for file in spool.captured}
        self._seq = len(spool.captured)
        self._bytes = sum(file.bytes for file in spool.captured if file.refused is None)
        self._overflows = 0
        self._closed = False
        if self._seq > run.max_snapshots or self._bytes > run.max_bytes:
            self.close()

    def _now(self) -> int:
        assert self.t0_ns is not None
        return time.monotonic_ns() - self.t0_ns

    def close(self) -> None:
        """Nothing is taken from now on."""
        self._closed = True
        self.watch.close()

    def start(self, t0_ns: int) -> None:
        """The go: what was there before it is dropped, until it is written again or the run ends."""
        for _ in range(_READS_BEFORE_GO):
            if not self.watch.read()[0]:
                break
        self.t0_ns = t0_ns

    def see(self) -> None:
        """Reads a piece of the events that are there, or looks through the folder where that is due; does not block."""
        if self.watch.look_due():
            began = time.thread_time()
            self.rescan()
            self.watch.looked(time.thread_time() - began)
        names, lost = self.watch.read()
        if self.t0_ns is None or self._closed or (seen := self._now()) > self._run.budget_ns:
            return
        if lost:
            if not self._overflows:
                log("inotify-overflow")
            self._overflows += 1
            self.rescan()
        for name in names:
            self._note(name, seen)

    def _note(self, name: str, seen: int) -> bool:
        """False where no more names are of use: each that waits takes one of the places that the run has left."""
        if len(self._waiting) > self._run.max_snapshots - self._seq:
            return False
        if formats.kind_of(name) is not None:
            self._waiting.setdefault(name, seen)
        return True

    def rescan(self, ended_ns: int | None = None) -> None:
        """Sees every file of the directory that is not known as it is now; those that it finds together by number.

        Args:
            ended_ns: when the program's last process ended, since the go; None or negative where that is not known.
                What is there was there by then: a recorder that was away until after the budget still sees it in time.
        """
        if self.t0_ns is None or self._closed:
            return
        seen = self._now()
        if ended_ns is not None and ended_ns >= 0:
            seen = min(seen, ended_ns)
        if seen > self._run.budget_ns:
            return
        found: list[str] = []
        with os.scandir(self._out) as listing:
            for item in islice(listing, _LISTED_AT_MOST):
                if formats.kind_of(item.name) is not None and not self._is_known(item.name):
                    found.append(item.name)
                if len(found) > self._run.max_snapshots - self._seq:
                    break
        for name in sorted(found, key=formats.order_key):
            if not self._note(name, seen):
                return

    def _is_known(self, name: str) -> bool:
        return name in self._known and self._known[name] == self._identity(name)

    def _identity(self, name: str) -> FileIdentity | None:
        try:
            status = os.stat(name, dir_fd=self._out, follow_symlinks=False)
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def take_all(self) -> None:
        """Takes all that was seen, and what is seen meanwhile."""
        while self._waiting and not self._closed:
            name = next(iter(self._waiting))
            self._take(name, self._waiting.pop(name))
            self.see()
        self._waiting.clear()

    def _take(self, name: str, seen_ns: int) -> None:
        kind = formats.kind_of(name)
        assert kind is not None
        size, refused, identity = 0, None, self._identity(name)
        try:
            if self._seq >= self._run.max_snapshots:
                self.close()
                raise RefusedError(
                    f"The limit of {self._run.max_snapshots} files a run is reached; no more are taken."
                )
            size = self._copy(name, formats.size_limit(kind, self._run.n_test, self._run.n_labels))
            t_ns = self._now()
            if self._bytes + size > self._run.max_bytes:
                self.close()
                raise RefusedError(
                    f"The limit of {self._run.max_bytes} bytes a run is reached; no more are taken."
                )
            self._bytes += size
        except RefusedError as error:
            t_ns, refused = self._now(), error.cause
            self._spool.copy_path(self._seq).unlink(missing_ok=True)
        file = CapturedFile(self._seq, name, kind, seen_ns, t_ns, size, refused, identity)
        self._spool.add_capture(file)
        self._known[name] = identity
        self._seq += 1
        self._taken(file)

    def _copy(self, name: str, limit: int) -> int:
        """Copies one file to the spool, in the kernel; its size in bytes. Raises :class:`RefusedError`."""
        try:
            source = os.open(name, _OPEN, dir_fd=self._out)
        except OSError as error:
            reason = _OPEN_REFUSALS.get(
                error.errno or 0, f"It cannot be opened ({os.strerror(error.errno or 0)})."
            )
            raise RefusedError(reason) from error
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError("It is not a regular file.")
            if status.st_size > limit:
                raise RefusedError(
                    f"It has {status.st_size} bytes; a file of the right shape has at most {limit}."
                )
            return self._to_spool(source, limit)
        finally:
            os.close(source)

    def _to_spool(self, source: int, limit: int) -> int:
        mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            target = os.open(self._spool.copy_path(self._seq), mode, 0o600)
            try:
                return self._pump(source, target, limit)
            finally:
                os.close(target)
        except OSError as error:
            self.trouble = f"A prediction could not be copied to the spool: {error.strerror}."
            log("copy-failed", error=repr(error))
            raise RefusedError("The recorder could not copy it; this is not your fault.") from error

    def _pump(self, source: int, target: int, limit: int) -> int:
        done = 0
        # One byte more than allowed shows a file that grows while it is copied.
        while done <= limit and (sent := os.sendfile(target, source, done, min(_CHUNK, limit + 1 - done))):
            done += sent
            if sent == _CHUNK:
                self.see()  # so that a large copy does not make another file's "seen" late
        if done > limit:
            raise RefusedError(f"It grew past the {limit} bytes that a file of the right shape has at most.")
        return done
