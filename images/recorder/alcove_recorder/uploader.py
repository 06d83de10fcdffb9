"""The thread that looks into what was taken, chains the records, and uploads.

One thread, so that the order of records is that of the queue; everything it does may wait for the store as
long as it must, since nothing here is on the clock.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from alcove_api import keys
from alcove_api.errors import AlcoveError
from alcove_api.retry import retry
from alcove_api.run_documents import End, Manifest, Record
from alcove_recorder import formats
from alcove_recorder.errors import RefusedError, UploadError
from alcove_recorder.jsonlog import log
from alcove_recorder.live_log import LiveLog
from alcove_recorder.settings import RecorderSettings
from alcove_recorder.sinks import ObjectSink, put_bytes
from alcove_recorder.spool import CapturedFile, RunSpool, RunState, printable, write_atomic

_LOG_PERIOD = 10.0


@dataclass(frozen=True)
class SealRequest:
    """The last item of the queue."""

    end: End
    state: RunState | None
    boot_id: str


@dataclass(frozen=True)
class UploadProgress:
    """What the uploader has done so far; replaced as a whole, so another thread may read it at any time."""

    snapshots: int = 0
    refused: int = 0
    stamp_lag_ns: int = 0
    head: str | None = None
    manifest_sha256: str | None = None
    trouble: str | None = None
    """Why it cannot upload right now."""
    store_full: bool = False
    """Whether that is because the store has no room."""
    crashed: str | None = None


def _lag_ns(record: Record) -> int:
    return record.t_ns - record.seen_ns


def overshoot_ns(end: End, budget_ns: int) -> int:
    return max(0, end.ended_ns - budget_ns)


class Uploader(threading.Thread):
    """``wake`` is called, from this thread, whenever :attr:`progress` has changed."""

    def __init__(
        self,
        settings: RecorderSettings,
        spool: RunSpool,
        sink: Callable[[], ObjectSink],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name="uploader", daemon=True)
        self._settings, self._spool, self._open_sink, self._wake = settings, spool, sink, wake
        self._sink: ObjectSink
        self._queue: SimpleQueue[CapturedFile | SealRequest] = SimpleQueue()
        self._live_log = LiveLog(spool.log, settings.log_limit)
        self._log_due = time.monotonic() + _LOG_PERIOD
        refused = sum(record.refused is not None for record in spool.records)
        self.progress = UploadProgress(
            snapshots=len(spool.records) - refused,
            refused=refused,
            stamp_lag_ns=max((_lag_ns(record) for record in spool.records), default=0),
            head=spool.records[-1].digest() if spool.records else None,
        )
        for entry in spool.pending:
            self._queue.put(entry)

    def submit(self, item: CapturedFile | SealRequest) -> None:
        self._queue.put(item)

    def run(self) -> None:
        try:
            self._sink = self._open_sink()
            while True:
                try:
                    item = self._queue.get(timeout=max(0.0, self._log_due - time.monotonic()))
                except Empty:
                    self._upload_log()
                    continue
                if isinstance(item, SealRequest):
                    self._seal(item)
                    return
                self._upload(item)
        except Exception as error:  # whatever it is, the main thread has to hear of it
            log("uploader-crashed", error=repr(error))
            self._update(replace(self.progress, crashed=f"{type(error).__name__}: {error}"))

    def _update(self, progress: UploadProgress) -> None:
        self.progress = progress
        self._wake()

    def _upload(self, entry: CapturedFile) -> None:
        record = self._examine(entry)
        canonical, prefix = record.canonical(), self._settings.prefix
        if record.sha256 is not None:
            self._put_until_done(
                lambda: self._put_file(keys.snapshot(prefix, entry.seq), self._spool.copy_path(entry.seq))
            )
        self._put_until_done(lambda: put_bytes(self._sink, keys.record(prefix, entry.seq), canonical))
        self._spool.add_record(record)
        was = self.progress
        self._update(
            replace(
                was,
                snapshots=was.snapshots + (record.refused is None),
                refused=was.refused + (record.refused is not None),
                stamp_lag_ns=max(was.stamp_lag_ns, _lag_ns(record)),
                head=hashlib.sha256(canonical).hexdigest(),
            )
        )

    def _examine(self, entry: CapturedFile) -> Record:
        refused, digest = entry.refused, None
        if refused is None:
            run = self._settings.run
            with self._spool.copy_path(entry.seq).open("rb") as copy:
                try:
                    formats.check(entry.kind, copy, entry.bytes, run.n_test, run.n_labels)
                    copy.seek(0)
                    digest = hashlib.file_digest(copy, "sha256").hexdigest()
                except RefusedError as error:
                    refused = error.cause
        return Record(
            seq=entry.seq,
            name=printable(entry.name),
            kind=entry.kind,
            seen_ns=entry.seen_ns,
            t_ns=entry.t_ns,
            sha256=digest,
            bytes=entry.bytes,
            refused=refused,
            previous=self.progress.head,
        )

    def _seal(self, seal: SealRequest) -> None:
        prefix, path = self._settings.prefix, self._spool.manifest
        if not path.exists():
            write_atomic(path, self._manifest(seal).canonical())
        data = path.read_bytes()
        self._put_until_done(lambda: self._put_file(keys.log(prefix), self._spool.log))
        self._put_until_done(lambda: put_bytes(self._sink, keys.manifest(prefix), data))
        log("sealed", records=len(self._spool.records))
        self._update(replace(self.progress, manifest_sha256=hashlib.sha256(data).hexdigest()))

    def _manifest(self, seal: SealRequest) -> Manifest:
        run, state = self._settings.run, seal.state
        return Manifest(
            submission_uid=run.submission_uid,
            alias=run.alias,
            attempt=run.attempt,
            pod_uid=self._settings.pod_uid,
            budget_ns=run.budget_ns,
            go_at=None if state is None else state.go_at,
            free_ns=None if state is None else state.free_ns,
            boot_id=seal.boot_id if state is None else state.boot_id,
            end=seal.end,
            overshoot_ns=overshoot_ns(seal.end, run.budget_ns),
            records=tuple(self._spool.records),
            head=self.progress.head,
            data_sha256=run.data_sha256,
            code_sha256=run.code_sha256,
            log_sha256=self._log_digest(),
        )

    def _log_digest(self) -> str:
        with self._spool.log.open("rb") as log_file:
            return hashlib.file_digest(log_file, "sha256").hexdigest()

    def _put_file(self, key: str, path: Path) -> None:
        with path.open("rb") as source:
            self._sink.put(key, source, path.stat().st_size)

    def _put_until_done(self, put: Callable[[], None]) -> None:
        """Tries for ever: the process ends before that, at the pod's grace, if it must."""
        retry(put, math.inf, self._note_trouble, self._may_pass)
        if self.progress.trouble is not None:
            log("upload-resumed")
            self._update(replace(self.progress, trouble=None, store_full=False))

    def _may_pass(self, error: AlcoveError) -> bool:
        """Everything may; what the store has no room for is told apart."""
        full = isinstance(error, UploadError) and error.full
        if self.progress.store_full != full:
            self._update(replace(self.progress, store_full=full))
        return True

    def _note_trouble(self, text: str) -> None:
        if self.progress.trouble != text:
            log("upload-waits", error=text)
            self._update(replace(self.progress, trouble=text))

    def _upload_log(self) -> None:
        """Once, without insisting: the whole of it is uploaded at the seal."""
        key = keys.log(self._settings.prefix)
        try:
            self._live_log.upload(lambda: self._put_file(key, self._spool.log))
        except UploadError as error:
            log("log-upload-failed", error=str(error))
        self._log_due = time.monotonic() + _LOG_PERIOD
