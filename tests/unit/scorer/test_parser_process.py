"""A hole in the parser of predictions finds nothing: no secret, no file, no network, no other process."""

from __future__ import annotations

import fcntl
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from alcove_scorer.errors import PredictionError
from alcove_scorer.parser_process import ParserEndedError, ParserProcess, ParserUnavailableError
from alcove_scorer.predictions import read_prediction

HOLE = """
import contextlib, ctypes, json, os, signal, socket, subprocess, sys
from alcove_scorer import parser
from alcove_scorer.errors import PredictionError
secret, port, target, victim = sys.argv[1:5]
libc = ctypes.CDLL(None, use_errno=True)

def connect():
    with socket.socket() as client:
        client.connect(("127.0.0.1", int(port)))

def write():
    with open(target, "w") as file:
        file.write("mine")

def link():
    os.symlink(secret, target + "-link")

def descriptors():
    return [number for number in range(2, 64) if libc.write(number, b"", 0) == 0]

def map_file():
    if libc.open(secret.encode(), 0) < 0:
        raise OSError(ctypes.get_errno(), "open")

ATTEMPTS = {
    "read": lambda: open(secret).read(),
    "environ": lambda: open("/proc/self/environ").read(),
    "list": lambda: os.listdir("/"),
    "connect": connect,
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "write": write,
    "link": link,
    "run": lambda: subprocess.run(["/bin/true"], check=True),
    "fork": os.fork,
    "kill": lambda: os.kill(int(victim), signal.SIGKILL),
    "open": map_file,
}

def attack(pieces, size, labels, rows):
    if size != 1:
        return  # Of what is parsed to load everything, before the filter.
    done = []
    for name, attempt in ATTEMPTS.items():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            attempt()
            done.append(name)
    found = {"done": done, "environment": dict(os.environ), "descriptors": descriptors()}
    raise PredictionError(json.dumps(found))
    yield

parser.text_blocks = attack
"""
SANDBOX = HOLE + "\nparser.main()\n"
OPEN = HOLE + "\nparser.confine = lambda: None\nparser.main()\n"
"""The same without the filter, to show that the attempts are real."""


def plant(program: str, tmp_path: Path, port: int, victim: int) -> tuple[str, ...]:
    secret = tmp_path / "credentials.json"
    secret.write_text("the scorer's")
    return (sys.executable, "-I", "-c", program, str(secret), str(port), str(tmp_path / "mine"), str(victim))


def exploit(command: tuple[str, ...]) -> dict[str, object]:
    with closing(ParserProcess(command)) as process, pytest.raises(PredictionError) as told:
        list(process.read([b"x"], 1, "text", 1, 1))
    found: dict[str, object] = json.loads(str(told.value))
    return found


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_a_planted_hole_finds_nothing(
    tmp_path: Path, server: int, victim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALCOVE_SECRET", "of the job")
    # As a socket to the store is: inheritable by mistake.
    with socket.socket() as held:
        os.set_inheritable(held.fileno(), True)
        found = exploit(plant(SANDBOX, tmp_path, server, victim.pid))
    assert found == {"done": [], "environment": {}, "descriptors": []}
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.json"]
    assert victim.poll() is None


def test_without_the_filter_the_same_hole_gets_at_everything(
    tmp_path: Path, server: int, victim: subprocess.Popen[bytes]
) -> None:
    found = exploit(plant(OPEN.replace('"fork": os.fork,', ""), tmp_path, server, victim.pid))
    everything = ["read", "environ", "list", "connect", "unix", "write", "link", "run", "kill", "open"]
    assert found["done"] == everything
    assert (tmp_path / "mine").read_text() == "mine"


GREEDY = """
import resource
from alcove_scorer import parser

def attack(pieces, size, labels, rows):
    if size == 1:
        bytearray(3 << 30)
    return iter(())

parser.text_blocks = attack
{without}
parser.main()
"""


@pytest.mark.parametrize("limited", [True, False])
def test_a_prediction_that_takes_memory_without_end_is_refused_and_the_next_is_read(*, limited: bool) -> None:
    without = "" if limited else "resource.setrlimit = lambda *_: None"
    command = (sys.executable, "-I", "-c", GREEDY.format(without=without))
    with closing(ParserProcess(command)) as process:
        with pytest.raises(PredictionError, match="more memory" if limited else "0 rows"):
            list(process.read([b"x"], 1, "text", 1, 1))
        pid = process._process.pid
        with pytest.raises(PredictionError, match="0 rows"):
            list(process.read([b"xx"], 2, "text", 1, 1))
        assert process._process.pid == pid


def test_a_line_of_a_million_labels_is_read_within_the_memory_of_the_parser() -> None:
    labels = 10**6
    line = b"0.123456789012345678901234567890 " * (labels - 1) + b"1\n"
    pieces = [line[first : first + (1 << 20)] for first in range(0, len(line), 1 << 20)]
    with closing(ParserProcess()) as process:
        (block,) = process.read(pieces, len(line), "text", 1, labels)
    assert block.shape == (1, labels)
    assert block[0, -1] == 1


def test_no_thread_of_the_parser_is_left_without_the_filter() -> None:
    """NumPy starts threads of its own where there are several processors: whoever has the memory has these too."""
    program = f"""
import os, threading
from alcove_scorer import parser
parent = os.getppid()
go, answered, found = threading.Event(), threading.Event(), []
real = parser.parse_header
def look(data, size, shape):
    if size != {len(npy(0.5))}:
        return real(data, size, shape)
    go.set()
    answered.wait()
    raise parser.PredictionError(found[0])
def other():
    go.wait()
    try:
        os.kill(parent, 0)
        found.append("reached")
    except OSError:
        found.append("refused")
    answered.set()
threading.Thread(target=other, daemon=True).start()
parser.parse_header = look
parser.main()
"""
    command = (sys.executable, "-I", "-c", program)
    with closing(ParserProcess(command)) as process, pytest.raises(PredictionError, match="refused"):
        parse(process, npy(0.5))


def npy(value: float) -> bytes:
    file = io.BytesIO()
    np.save(file, np.full((2, 3), value))
    return file.getvalue()


def parse(process: ParserProcess, data: bytes) -> np.ndarray:
    return np.concatenate(list(process.read([data], len(data), "npy", 2, 3)))


LIES = {
    "end": "os._exit(0)",
    "rows": "os.write(1, parser.BLOCK + parser.SHAPE.pack(1 << 31))",
    "tag": "os.write(1, b'?')",
    "half": "os.write(1, parser.BLOCK + parser.SHAPE.pack(2) + b'x'); os._exit(0)",
    "long": "os.write(1, parser.REFUSED + parser.LENGTH.pack(1 << 31) + b'x' * 2000); os._exit(0)",
    "form": "os.write(1, parser.FORM + parser.HEADER.pack(False, b'<f4', 80))",
}
HEADERS = {
    "object": "parser.HEADER.pack(False, b'|O8', 128)",
    "size": "parser.HEADER.pack(False, b'<f8', 4096)",
    "negative": "parser.HEADER.pack(False, b'<f8', (1 << 32) - 1)",
    "more": "parser.HEADER.pack(False, b'<f8', size - rows * 24) + b'?'",
}


@pytest.mark.parametrize("lie", HEADERS)
def test_the_form_of_an_array_is_not_believed(lie: str) -> None:
    program = f"""
import os
from alcove_scorer import parser
def lies(data, size, shape):
    if size > 1000:
        rows = shape[0]
        os.write(1, parser.FORM + {HEADERS[lie]})
    raise parser.PredictionError("no")
parser.parse_header = lies
parser.main()
"""
    data = npy(0.5)
    file = io.BytesIO()
    np.save(file, np.full((200, 3), 0.5))
    with closing(ParserProcess((sys.executable, "-I", "-c", program))) as process:
        with pytest.raises(ParserEndedError):
            list(process.read([file.getvalue()], len(file.getvalue()), "npy", 200, 3))
        with pytest.raises(PredictionError, match="no"):
            parse(process, data)


@pytest.mark.parametrize("lie", LIES)
def test_whatever_a_parser_answers_the_job_goes_on(lie: str) -> None:
    program = f"""
import os
from alcove_scorer import parser
real = parser.text_blocks
def lies(pieces, size, labels, rows):
    if rows == 7:
        {LIES[lie]}
    return real(pieces, size, labels, rows)
parser.text_blocks = lies
parser.main()
"""
    with closing(ParserProcess((sys.executable, "-I", "-c", program))) as process:
        assert (parse(process, npy(0.25)) == 0.25).all()
        with pytest.raises((ParserEndedError, PredictionError)) as told:
            list(process.read([b"1\n"] * 7, 14, "text", 7, 1))
        assert len(str(told.value)) <= 2000
        assert (parse(process, npy(0.5)) == 0.5).all(), "the next is read by a new process"


@pytest.mark.parametrize("first", ["b''", "parser.NEXT"], ids=["says nothing", "reads nothing"])
def test_a_parser_that_goes_on_without_end_is_not_waited_for(first: str) -> None:
    program = f"""
import os
from alcove_scorer import parser
def hang(pieces, size, labels, rows):
    if rows == 1:
        return iter(())
    os.write(1, {first})
    while True:
        pass
parser.text_blocks = hang
parser.main()
"""
    piece = b"1\n" * (1 << 20)
    with (
        closing(ParserProcess((sys.executable, "-I", "-c", program), patience=0.5)) as process,
        pytest.raises(ParserEndedError, match="did not answer"),
    ):
        list(process.read([piece], len(piece), "text", 1 << 20, 1))


def test_pipes_may_be_small_where_the_user_has_many_on_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel counts the pipes of a user over all pods of a node, and refuses more room from 64 MiB on."""

    def refuse(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    text = b"0.25 0.5\n" * (1 << 17)
    with closing(ParserProcess()) as process:
        read = np.concatenate(list(process.read([text], len(text), "text", 1 << 17, 2)))
    assert read.shape == (1 << 17, 2)
    assert (read == (0.25, 0.5)).all()


def test_the_first_fault_of_a_prediction_is_what_is_said() -> None:
    pieces = [b"1e999\n", b"no number\n"]
    with pytest.raises(PredictionError) as here:
        list(read_prediction(pieces, 16, "text", 2, 1))
    with closing(ParserProcess()) as process, pytest.raises(PredictionError) as told:
        list(process.read(pieces, 16, "text", 2, 1))
    assert str(told.value) == str(here.value)


def test_a_failure_to_fetch_leaves_no_half_of_a_prediction_behind() -> None:
    def broken() -> Iterator[bytes]:
        yield npy(0.25)[:100]
        raise ConnectionError("the store went away")

    with closing(ParserProcess()) as process:
        with pytest.raises(ConnectionError):
            list(process.read(broken(), len(npy(0.25)), "npy", 2, 3))
        assert (parse(process, npy(0.5)) == 0.5).all()


def test_values_that_are_not_finite_are_refused_whoever_parsed_them() -> None:
    with closing(ParserProcess()) as process, pytest.raises(PredictionError, match="must be finite"):
        parse(process, npy(np.nan))


def test_where_nothing_can_be_confined_nothing_is_parsed() -> None:
    program = "from alcove_scorer import confinement, parser\nconfinement._MACHINES.clear()\nparser.main()"
    with (
        closing(ParserProcess((sys.executable, "-I", "-c", program))) as process,
        pytest.raises(ParserUnavailableError),
    ):
        parse(process, npy(0.5))
