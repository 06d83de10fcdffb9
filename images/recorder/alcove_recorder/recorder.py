"""The recorder's one loop: the supervisor's messages, the files, the seal, and news of staging.

It sleeps in poll() until one of them has news. What it does regularly is to look, in a thread of its own, at how much
room the program takes up (disk_use.py).
"""

from __future__ import annotations

import contextlib
import hmac
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from alcove_api.exit_statuses import RecorderExit
from alcove_api.run_documents import End, RecorderReport
from alcove_recorder.capture import Capture
from alcove_recorder.disk_use import DiskWatch
from alcove_recorder.handshake import Connection, Message, listen
from alcove_recorder.jsonlog import log
from alcove_recorder.report import ReportFile
from alcove_recorder.settings import RecorderSettings
from alcove_recorder.sinks import ObjectSink
from alcove_recorder.spool import RunSpool, RunState, boot_id, load_state, save_state
from alcove_recorder.staging import SIGN_SECONDS, Staging
from alcove_recorder.uploader import SealRequest, Uploader, overshoot_ns

_STRANGERS = 4
"""Connections at most that have not said hello yet."""
SUPERVISOR_PATIENCE_SECONDS = 35.0
"""A supervisor tries to come back for 30 s, and then ends everything."""
_UNKNOWN_END = End(cause="unknown", ended_ns=-1)


class Recorder:
    """One run from the first ``hello`` to ``sealed``. :meth:`serve` blocks until SIGTERM."""

    def __init__(self, settings: RecorderSettings, sink: Callable[[], ObjectSink], restarts: int = 0) -> None:
        self._settings = settings
        self._spool = RunSpool(settings.spool)
        self._log = os.open(self._spool.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._log_bytes = os.fstat(self._log).st_size
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._uploader = Uploader(settings, self._spool, sink, self._wake)
        self._capture = Capture(settings.run, settings.out, self._spool, self._uploader.submit)
        self._disk: DiskWatch | None = None
        """None before the go, until when nothing of the program's runs, and where the recorder is told of no limit."""
        self._poll = select.poll()
        self._connection: Connection | None = None
        """The supervisor's, once its hello was the right one."""
        self._watched: int | None = None
        self._asked: Literal["", "construct", "go"] = ""
        """What the supervisor waits for, and gets once all is staged."""
        self._sign_at: float | None = None
        """When it hears next that staging goes on; None where it does not wait for that."""
        self._connected_once = False
        self._strangers: dict[int, Connection] = {}
        """Those that have not said hello yet, oldest first, by descriptor."""
        self._refusal_said = False
        self._oom_kills = 0
        self._restarts = restarts
        self._stop_at: float | None = None
        self._end_at: float | None = None
        """Until when a supervisor that is stopped as well may still say how the run ended."""
        self._lost_at = time.monotonic() + SUPERVISOR_PATIENCE_SECONDS if restarts else None
        """When a supervisor that has not come back is not there any more; None where there was none yet, or it has."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        self._boot_id = boot_id()
        self._state = load_state(settings.state)
        self._resumed = self._state is not None
        self._ended: End | None = None if self._state is None else self._state.end
        self._seal_awaited = False
        """Whether the supervisor on the line has said ``end`` and waits for ``sealed``."""
        self._staging = None if settings.staging is None else Staging(settings, settings.staging, self._wake)
        self._report_file = ReportFile(settings.termination_log)
        self._listener = listen(settings.socket)

    def serve(self) -> int:
        """The exit status: one of :class:`alcove_api.exit_statuses.RecorderExit`."""
        if self._staging is not None:
            self._staging.start()
        self._uploader.start()
        self._resume()
        self.report()
        for readable in (self._listener, self._wake_r):
            self._poll.register(readable, select.POLLIN)
        while True:
            self._register_watch()
            ready = {fd for fd, _ in self._poll.poll(self._timeout_ms())}
            # Files first: they are what is timed.
            self._capture.see()
            self._capture.take_all()
            self._note_flood()
            self._note_disk_use()
            self._note_staging()
            self._note_lost_supervisor()
            if self._connection is not None and self._connection.fileno() in ready:
                self._receive(self._connection)
            for descriptor in ready & self._strangers.keys():
                self._hear_stranger(descriptor)
            if self._listener.fileno() in ready:
                self._accept()
            if self._wake_r in ready:
                os.read(self._wake_r, 4096)
                self._answer_seal()
            if (status := self._exit_status()) is not None:
                self.report()
                return status

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is being woken already
            os.write(self._wake_w, b"\0")

    def _stop(self) -> None:
        """Runs as the signal handler: only notes that it came."""
        if self._stop_at is None:
            now, stop_seconds = time.monotonic(), self._settings.stop_seconds
            self._stop_at, self._end_at = now + stop_seconds, now + stop_seconds / 5

    def _register_watch(self) -> None:
        """Once there is one: the participant can have kept the recorder from getting it."""
        descriptor = self._capture.watch.descriptor
        if descriptor is not None and descriptor != self._watched:
            self._poll.register(descriptor, select.POLLIN)
            self._watched = descriptor

    def _note_flood(self) -> None:
        """Kept at once, in case the flood ends the recorder.

        Before there is a state nothing of the program's ran. When inotify is used up after that, the program, whose
        uid is the run's own, has done it.
        """
        watch = self._capture.watch
        flood = watch.rate.exceeded or (self._resumed and watch.look_at is not None)
        if flood and self._state is not None and not self._state.flooded:
            self._keep_state(replace(self._state, flooded=True))
            log("flooded")
            self.report()

    def _note_disk_use(self) -> None:
        """Likewise: the pod may be evicted for it at any moment."""
        if self._disk is None or not self._disk.exceeded or self._state is None or self._state.disk_exceeded:
            return
        self._keep_state(replace(self._state, disk_exceeded=True))
        self.report()

    def _note_staging(self) -> None:
        """Whoever waits hears of its end at once, and before that every few seconds that it goes on."""
        if self._staging is not None and self._staging.note_end():
            self.report()
        if self._sign_at is not None and (self._is_staged() or time.monotonic() >= self._sign_at):
            self._answer_asked()

    def _note_lost_supervisor(self) -> None:
        """The kubelet does not end a recorder whose supervisor is gone, nor does a parent that starts it again."""
        if self._lost_at is not None and time.monotonic() >= self._lost_at:
            self._lost_at = None
            self._stop()

    def _is_staged(self) -> bool:
        """Whether there is nothing to wait for; staged or failed."""
        return self._staging is None or self._staging.ended

    def _answer_asked(self) -> None:
        """Nothing of the participant's runs before this: its code is not there, or not whole, until all is staged."""
        if self._connection is None or not self._asked:
            return
        if not self._is_staged():
            self._sign_at = time.monotonic() + SIGN_SECONDS
            self._connection.send("staging")
            return
        asked, self._asked, self._sign_at = self._asked, "", None
        if self._staging is not None and self._staging.failed:
            self._connection.send("unstaged")
        elif asked == "construct":
            self._let_construct()
            self._connection.send("constructing")
        else:
            self._connection.send(f"started {self._go()}")

    def _watch_disk(self) -> None:
        most = self._settings.disk_bytes
        if most is not None and self._disk is None:
            self._disk = DiskWatch(self._settings.written_folders, most, self._wake)
            self._disk.start()

    def _keep_state(self, state: RunState) -> RunState:
        save_state(self._settings.state, state)
        self._state = state
        return state

    def _timeout_ms(self) -> float | None:
        give_up_at = None if self._staging is None or self._staging.ended else self._staging.give_up_at
        looked_at = self._capture.watch.look_at
        moments = (self._stop_at, self._end_at, self._lost_at, looked_at, self._sign_at, give_up_at)
        wake_at = [moment for moment in moments if moment is not None]
        return max(0.0, min(wake_at) - time.monotonic()) * 1000 if wake_at else None

    def _exit_status(self) -> int | None:
        if self._uploader.progress.crashed is not None:
            return RecorderExit.NOT_SEALED
        sealed = self._uploader.progress.manifest_sha256 is not None
        # The supervisor has had its answer, or is no more: the kubelet sees both containers ended in one look.
        alone = self._connected_once and self._connection is None
        if self._staging is not None and self._staging.failed and (alone or self._stop_at is not None):
            return RecorderExit.NOT_STAGED
        if self._stop_at is None:
            return RecorderExit.SEALED if sealed and alone else None
        if sealed:
            return RecorderExit.SEALED
        now = time.monotonic()
        # Whoever stops a pod tells both containers at once, and the supervisor says within milliseconds what it did.
        if self._connection is None or self._end_at is None or now >= self._end_at:
            self._end_at = None
            self._end(_UNKNOWN_END)
        return RecorderExit.NOT_SEALED if now >= self._stop_at else None

    def _resume(self) -> None:
        """After a restart: keeps the go, and sees now what was not seen before. Stamps can only be later."""
        state = self._state
        if state is None:
            return
        log("resumed", taken=len(self._spool.captured), uploaded=len(self._spool.records))
        if state.boot_id != self._boot_id:
            # The node was restarted: the clock that t0 is of is gone, and the participant with it.
            self._end(_UNKNOWN_END)
            return
        self._capture.t0_ns = state.t0_ns
        if state.end is not None:
            self._capture.close()
            self._uploader.submit(SealRequest(state.end, state, self._boot_id))
        else:
            self._capture.rescan()
            self._capture.take_all()
            self._watch_disk()

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:
            return
        if self._connected_once:
            # The supervisor was first; whoever this is, it is not answered.
            self._say_refused("second-connection-refused")
            connected.close()
            return
        if len(self._strangers) == _STRANGERS:
            # The oldest goes: silent ones cannot keep the supervisor out, which says hello at once.
            self._close(self._strangers.pop(next(iter(self._strangers))))
        stranger = Connection(connected)
        self._strangers[stranger.fileno()] = stranger
        self._poll.register(stranger, select.POLLIN)

    def _hear_stranger(self, descriptor: int) -> None:
        stranger = self._strangers.get(descriptor)
        if stranger is None or (messages := stranger.receive()) == []:
            return
        del self._strangers[descriptor]
        if not messages or not self._is_supervisor(messages[0]):
            self._say_refused("stranger-refused")
            self._close(stranger)
            return
        self._connected_once = True
        self._connection = stranger
        self._lost_at = None
        for other in self._strangers.values():
            self._close(other)
        self._strangers.clear()
        for message in messages:
            self._handle(stranger, message)

    def _say_refused(self, what: str) -> None:
        """Once: a participant that connects all day must not fill the node's disk with our log."""
        if not self._refusal_said:
            self._refusal_said = True
            log(what)

    def _is_supervisor(self, first: Message) -> bool:
        """The participant, of the same uid, can connect too, but runs only once there is a state. It has no token."""
        match first.verb, first.words:
            case "hello", ():
                return self._state is None
            case "resume", (token,):
                return hmac.compare_digest(token.encode(errors="replace"), self._spool.token.encode())
        return False

    def _receive(self, connection: Connection) -> None:
        messages = connection.receive()
        for message in messages or ():
            self._handle(connection, message)
        if messages is None:
            log("connection-closed")
            self._connection = None
            self._seal_awaited, self._asked, self._sign_at = False, "", None
            self._close(connection)
            if self._state is not None:
                self._end(End(cause="recorder-saw-eof", ended_ns=-1))
            # It does not come back, and nothing else ends this container before the pod's deadline.
            self._stop()

    def _close(self, connection: Connection) -> None:
        self._poll.unregister(connection)
        connection.close()

    def _handle(self, connection: Connection, message: Message) -> None:
        match message.verb:
            case "hello" | "resume":
                run, t0 = self._settings.run, None if self._state is None else self._state.t0_ns
                told = -1 if t0 is None else t0
                connection.send(f"ready {run.budget_ns} {int(run.disclosed)} {self._spool.token} {told}")
            case "construct" if self._settings.run.free_constructor_ns:
                self._asked = "construct"
                self._answer_asked()
            case "go":
                self._asked = "go"
                self._answer_asked()
            case "log":
                self._keep_log(message.data)
            case "end":
                self._seal_awaited = True
                self._end(self._end_of(message.words))
                self._answer_seal()

    def _let_construct(self) -> None:
        """Persisted before it is answered: from the answer on, who says hello may be the participant."""
        if self._state is None:
            self._keep_state(RunState(self._boot_id, constructing_ns=time.monotonic_ns()))
            self._watch_disk()
            log("constructing")
            self.report()

    def _go(self) -> int:
        state = self._state or RunState(self._boot_id)
        if state.t0_ns is not None:
            return state.t0_ns
        # Persisted before it is answered: a go that the supervisor knows of is never forgotten.
        t0_ns = time.monotonic_ns()
        self._keep_state(replace(state, t0_ns=t0_ns, go_at=datetime.now(UTC)))
        self._capture.start(t0_ns)
        self._watch_disk()
        log("go", t0_ns=t0_ns)
        self.report()
        return t0_ns

    def _end_of(self, words: tuple[str, ...]) -> End:
        """``ended_ns`` comes as CLOCK_MONOTONIC and is kept since the go."""
        state = self._state
        try:
            cause, code, signal_number, ended_at, oom_kills = words
            self._oom_kills = max(0, int(oom_kills))
            ended = -1 if state is None or state.t0_ns is None else int(ended_at) - state.t0_ns
            return End.model_validate(
                {"cause": cause, "code": int(code), "signal": int(signal_number), "ended_ns": ended}
            )
        except ValueError as error:  # a ValidationError of pydantic's is one
            log("end-unreadable", error=repr(error))
            return _UNKNOWN_END

    def _end(self, end: End) -> None:
        """Keeps the first end only. Takes what is in the directory by now, before the seal."""
        if self._ended is not None:
            return
        self._capture.see()
        self._capture.rescan(end.ended_ns)
        self._capture.take_all()
        self._capture.close()
        self._ended = end
        if self._state is not None:
            self._keep_state(replace(self._state, end=end))
        log("end", cause=end.cause, code=end.code, signal=end.signal, ended_ns=end.ended_ns)
        self._uploader.submit(SealRequest(end, self._state, self._boot_id))

    def _answer_seal(self) -> None:
        """Whenever the uploader got on, and at ``end``, which a supervisor repeats after a restart."""
        self.report()
        digest = self._uploader.progress.manifest_sha256
        if digest is not None and self._seal_awaited and self._connection is not None:
            self._seal_awaited = False
            self._connection.send(f"sealed {digest}")

    def _keep_log(self, data: bytes) -> None:
        room = self._settings.log_limit - self._log_bytes
        # What comes after the end is in no log: the seal holds the digest of it.
        if room < 0 or self._ended is not None:
            return
        note = b"" if len(data) <= room else b"\n[the recorder keeps no more of this log]\n"
        self._log_bytes += os.write(self._log, data[:room] + note)

    def report(self, error: str | None = None) -> None:
        """Brings the termination message up to date; ``error``: what is about to end the recorder."""
        progress, state = self._uploader.progress, self._state
        end = self._ended
        staging = self._staging
        error = error or (staging.error if staging else None)
        error = error or progress.crashed or progress.trouble or self._capture.trouble
        report = RecorderReport(
            go_at=None if state is None else state.go_at,
            end=end,
            free_ns=None if state is None else state.free_ns,
            snapshots=progress.snapshots,
            refused=progress.refused,
            stamp_lag_ns=progress.stamp_lag_ns,
            overshoot_ns=0 if end is None else overshoot_ns(end, self._settings.run.budget_ns),
            head=progress.head,
            manifest_sha256=progress.manifest_sha256,
            oom_kills=self._oom_kills,
            flooded=state is not None and state.flooded,
            disk_exceeded=state is not None and state.disk_exceeded,
            error=None if error is None else error[:500],
            store_away=progress.trouble is not None and progress.manifest_sha256 is None,
            store_full=progress.store_full and progress.manifest_sha256 is None,
            staging=None if staging is None else staging.report,
            restarts=self._restarts,
        )
        self._report_file.write(report)
