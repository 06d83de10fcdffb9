"""What the command may not do: sockets, other ways into the kernel, and anything to the supervisor."""

from __future__ import annotations

import ctypes
import platform
import signal
import socket
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Workshop

X86 = platform.machine() == "x86_64"
NO_SOCKET = ["inet", "inet6", "netlink", "packet", "vsock", "inet-high-bits"]


def _probe(shop: Workshop, probe: Path, *arguments: str, options: tuple[str, ...] = ()) -> dict[str, str]:
    target = shop.folder / "probe"
    target.write_bytes(probe.read_bytes())
    target.chmod(0o555)
    shop.recorder()
    run = shop.start("./probe", *arguments, options=options)
    assert run.wait() == 0, run.stderr
    return dict(line.split(" ", 1) for line in run.stdout.decode().splitlines())


def test_no_socket_but_unix(any_shop: Workshop, probe: Path) -> None:
    found = _probe(any_shop, probe)
    assert {name: found[f"socket-{name}"] for name in NO_SOCKET} == dict.fromkeys(NO_SOCKET, "EACCES")
    assert found["socketpair-inet"] == "EACCES"
    assert (found["socket-unix"], found["socketpair-unix"]) == ("ok", "ok")


def test_no_way_around_the_filter(shop: Workshop, probe: Path) -> None:
    found = _probe(shop, probe)
    assert found["io_uring"] == "ENOSYS"
    if X86:
        assert (found["x32"], found["x32-socket"]) == ("EPERM", "EPERM")


@pytest.mark.skipif(not X86, reason="the 32-bit entry point is x86_64's")
def test_the_i386_entry_point_ends_the_program(shop: Workshop, probe: Path) -> None:
    target = shop.folder / "probe"
    target.write_bytes(probe.read_bytes())
    target.chmod(0o555)
    recorder = shop.recorder()
    assert shop.start("./probe", "i386").wait() == 11
    assert recorder.end["signal"] == signal.SIGSYS


def test_nothing_can_be_done_to_the_supervisor(any_shop: Workshop, probe: Path) -> None:
    found = _probe(any_shop, probe)
    tried = ["kill", "kill-kill", "tgkill", "sigqueue", "pidfd_open", "ptrace", "process_vm_readv"]
    tried += ["process_vm_writev", "prlimit", "setpriority", "setpriority-user", "sched_setaffinity"]
    assert {name: found[name] for name in tried} == dict.fromkeys(tried, "EPERM")
    assert found["prlimit-own"] == "ok"


def test_limits_session_and_stdin(any_shop: Workshop, probe: Path) -> None:
    found = _probe(any_shop, probe, options=("--max-processes", "123"))
    assert found["nproc"] == "123"
    assert found["core"] == "0"
    assert found["session"] == "own"
    assert found["stdin"] == "0"


def test_allow_network_gives_sockets_and_nothing_else(shop: Workshop, probe: Path) -> None:
    found = _probe(shop, probe, options=("--allow-network",))
    assert (found["socket-inet"], found["socket-inet6"], found["socket-netlink"]) == ("ok", "ok", "ok")
    assert (found["io_uring"], found["ptrace"], found["kill"]) == ("ENOSYS", "EPERM", "EPERM")


def _kernel() -> tuple[int, int]:
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()))


@pytest.mark.skipif(_kernel() < (6, 12), reason="abstract sockets are closed by Landlock from Linux 6.12 on")
def test_abstract_sockets_of_others_are_out_of_reach(shop: Workshop, probe: Path) -> None:
    name = f"alcove-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as friend:
        other.bind(f"\0{name}")
        other.listen()
        friend.connect(f"\0{name}")  # it can be reached from here
        assert _probe(shop, probe, "abstract", name)["abstract"] == "EPERM"


def test_memory_and_descriptors_of_the_supervisor_are_closed_in_proc(any_shop: Workshop) -> None:
    any_shop.recorder()
    run = any_shop.python(
        "import os\n"
        "for name in ('mem', 'environ', 'fd', 'fd/1', 'cwd', 'maps'):\n"
        "    path = f'/proc/{os.getppid()}/{name}'\n"
        "    try:\n"
        "        os.listdir(path) if name == 'fd' else open(path, 'rb').read(1)\n"
        "        print(name, 'open')\n"
        "    except OSError as error: print(name, type(error).__name__)\n"
    )
    assert run.wait() == 0
    said = run.stdout.decode()
    assert "open" not in said.split()
    assert said.count("PermissionError") >= 5


@pytest.fixture
def a_signal_of_the_c_library_ignored() -> Iterator[None]:
    """Ignores signal 32 as some parents of a test run do. Neither Python nor the C library lets itself be asked."""
    ignore, default = (struct.pack("LLLL", handler, 0, 0, 0) for handler in (1, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 13, "aarch64": 134}[platform.machine()]
    assert libc.syscall(number, 32, ignore, None, 8) == 0
    yield
    assert libc.syscall(number, 32, default, None, 8) == 0


@pytest.mark.usefixtures("a_signal_of_the_c_library_ignored")
def test_no_new_privileges_and_a_filter(any_shop: Workshop) -> None:
    any_shop.recorder()
    run = any_shop.start("grep", "-E", "NoNewPrivs|Seccomp:|CapEff|SigBlk|SigIgn", "/proc/self/status")
    assert run.wait() == 0
    status = dict(line.split(":\t") for line in run.stdout.decode().splitlines())
    assert status == {
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "CapEff": "0" * 16,
        "SigBlk": "0" * 16,
        "SigIgn": "0" * 16,
    }
