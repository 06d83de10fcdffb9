"""Has predictions parsed by a process that has nothing: no credentials, no files, no network. See :mod:`.parser`."""

from __future__ import annotations

import fcntl
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn, cast

import numpy as np

from alcove_api.errors import AlcoveError
from alcove_scorer import parser
from alcove_scorer.errors import PredictionError
from alcove_scorer.metrics import Prediction
from alcove_scorer.predictions import Kind, NpyHeader, check_blocks, npy_blocks

COMMAND = (sys.executable, "-I", "-m", "alcove_scorer.parser")
_TYPE = re.compile(rb"[<>|][fiub][1248]")
_PIPE_BYTES = 1 << 20
"""What Linux lets anybody have, until the pipes of their user on the node hold 64 MiB in all."""
ANSWER_SECONDS, START_SECONDS = 60.0, 120.0
"""How long the process may take for a step, which is not a second's work, and to load."""
_KIND_CODES = {kind: code for code, kind in parser.KINDS.items()}


class ParserUnavailableError(AlcoveError):
    """The process does not start. That says nothing of any prediction."""

    retriable = True


class ParserEndedError(AlcoveError):
    """The process ended, or said what it cannot say, while it parsed a prediction."""


@dataclass
class ParserProcess:
    """Started at once, so that it loads while the job fetches; started anew where it has ended."""

    command: Sequence[str] = COMMAND
    patience: float = ANSWER_SECONDS
    """Seconds that each of its steps may take."""
    _process: subprocess.Popen[bytes] = field(init=False)
    _ready: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            bufsize=0, env={}, cwd="/", close_fds=True,
        )  # fmt: skip
        for pipe in (self._process.stdin, self._process.stdout):
            # A piece at a time fits, so that neither side waits for the other within one. It is only quicker.
            with suppress(PermissionError):
                fcntl.fcntl(cast(IO[bytes], pipe), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._sink, False)
        self._ready = False

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            cast(IO[bytes], pipe).close()
        self._process.wait()

    def read(
        self, pieces: Iterable[bytes], size: int, kind: Kind, n_test: int, n_labels: int
    ) -> Iterator[Prediction]:
        """As :func:`alcove_scorer.predictions.read_prediction`, which trusts nothing that the process answers.

        Raises PredictionError likewise, :class:`ParserEndedError`, or :class:`ParserUnavailableError`.
        """
        whole = False
        try:
            self._await_ready()
            self._write(parser.REQUEST.pack(_KIND_CODES[kind], size, n_test, n_labels))
            if kind == "npy":
                blocks = npy_blocks(iter(pieces), size, (n_test, n_labels), self._ask_form)
            else:
                blocks = self._blocks(iter(pieces), n_test, n_labels)
            try:
                yield from check_blocks(blocks, n_test, n_labels)
            except PredictionError:
                # To its end, so that the process can be asked again: to start another takes a while. What else is
                # wrong there is not what is said.
                with suppress(PredictionError):
                    for _ in blocks:
                        pass
                whole = True
                raise
            whole = True
        finally:
            if not whole:
                # It may wait for a piece, or be about to say something: it would not be asked the next question.
                self.close()
                self._start()

    def _blocks(self, pieces: Iterator[bytes], n_test: int, n_labels: int) -> Iterator[Prediction]:
        left = n_test
        while True:
            answer = self._read(1)
            if answer == parser.NEXT:
                piece = next(pieces, b"")
                self._write(parser.LENGTH.pack(len(piece)))
                self._write(piece)
            elif answer == parser.BLOCK:
                (rows,) = parser.SHAPE.unpack(self._read(parser.SHAPE.size))
                if rows > left:
                    raise _ended("it answered with what no prediction can be")
                left -= rows
                yield self._read_block(rows, n_labels)
            elif answer == parser.DONE:
                return
            else:
                self._refuse(answer)

    def _ask_form(self, data: bytes, size: int, shape: tuple[int, int]) -> NpyHeader:
        """As :func:`alcove_scorer.predictions.parse_header`."""
        answer = self._read(1)
        if answer != parser.NEXT:
            raise _ended("it answered with what no prediction can be")
        self._write(parser.LENGTH.pack(len(data)) + data)
        answer = self._read(1)
        if answer != parser.FORM:
            self._refuse(answer)
        fortran, name, length = parser.HEADER.unpack(self._read(parser.HEADER.size))
        found = NpyHeader(shape, fortran, _read_type(name), length)
        if size - length != shape[0] * shape[1] * found.dtype.itemsize or self._read(1) != parser.DONE:
            raise _ended("it answered with what no prediction can be")
        return found

    def _refuse(self, answer: bytes) -> NoReturn:
        """Raises PredictionError with the reason that follows."""
        if answer == parser.REFUSED:
            (length,) = parser.LENGTH.unpack(self._read(parser.LENGTH.size))
            if length <= parser.REASON_BYTES:
                text = self._read(length).decode(errors="replace")
                raise PredictionError("".join(c if c.isprintable() else "?" for c in text))
        raise _ended("it answered with what no prediction can be")

    def _read_block(self, rows: int, n_labels: int) -> Prediction:
        block = np.empty((rows, n_labels))
        if block.size:
            self._fill(block.data.cast("B"), self.patience)
        return block

    def _await_ready(self) -> None:
        if self._ready:
            return
        answer = bytearray(1)
        with suppress(ParserEndedError):
            self._fill(memoryview(answer), START_SECONDS)
        if bytes(answer) != parser.READY:
            raise ParserUnavailableError(
                "The process that parses predictions did not start, or cannot be confined here.",
                consequence="Nothing is scored.",
                remedy="It needs Linux with seccomp, on x86_64 or aarch64.",
            )
        self._ready = True

    @property
    def _source(self) -> int:
        return cast(IO[bytes], self._process.stdout).fileno()

    @property
    def _sink(self) -> int:
        return cast(IO[bytes], self._process.stdin).fileno()

    def _read(self, size: int) -> bytes:
        data = bytearray(size)
        self._fill(memoryview(data), self.patience)
        return bytes(data)

    def _fill(self, target: memoryview, patience: float) -> None:
        done = 0
        while done < len(target):
            _await(self._source, select.POLLIN, patience)
            count = os.readv(self._source, [target[done:]])
            if not count:
                raise _ended("it ended")
            done += count

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                _await(self._sink, select.POLLOUT, self.patience)
                left = left[os.write(self._sink, left) :]
        except BrokenPipeError:
            raise _ended("it ended") from None


def _await(pipe: int, event: int, patience: float) -> None:
    """Until the pipe can be read or written, or its other side has closed. Raises ParserEndedError after ``patience``
    seconds."""
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(patience * 1000):
        raise _ended("it did not answer")


def _read_type(name: bytes) -> np.dtype[Any]:
    if not _TYPE.fullmatch(name):
        raise _ended("it answered with what no prediction can be")
    return np.dtype(name.decode())


def _ended(how: str) -> ParserEndedError:
    return ParserEndedError(f"The process that parses predictions failed: {how}.")
