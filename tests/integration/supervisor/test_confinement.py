"""What the command may not do: sockets, other ways into the kernel, and anything to the supervisor."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import PYTHON, Workshop

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


def test_no_socket_but_unix(each_kernel: Workshop, probe: Path) -> None:
    found = _probe(each_kernel, probe)
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


def test_nothing_can_be_done_to_the_supervisor(each_kernel: Workshop, probe: Path) -> None:
    found = _probe(each_kernel, probe)
    tried = ["kill", "kill-kill", "tgkill", "sigqueue", "pidfd_open", "ptrace", "process_vm_readv"]
    tried += ["process_vm_writev", "prlimit", "setpriority", "setpriority-user", "sched_setaffinity"]
    tried += ["setown", "setown_ex", "setsig", "fiosetown", "siocspgrp"]
    assert {name: found[name] for name in tried} == dict.fromkeys(tried, "EPERM")
    assert found["pidfd_send_signal"] == "ENOSYS"
    assert found["prlimit-own"] == "ok"


def test_what_a_container_runtime_may_leave_open_is_closed(each_kernel: Workshop, probe: Path) -> None:
    found = _probe(each_kernel, probe)
    refused = [
        "clone-user",
        "clone-net",
        "unshare-user",
        "unshare-time",
        "setns",
        "userfaultfd",
        "perf_event_open",
    ]
    refused += ["bpf", "keyctl", "add_key", "request_key"]
    absent = ["clone3", "fanotify", "shmget", "semget", "msgget", "mq_open"]
    expected = dict.fromkeys(refused, "EPERM") | dict.fromkeys(absent, "ENOSYS")
    assert {name: found[name] for name in expected} == expected
    assert (found["clone"], found["unshare-files"]) == ("ok", "ok")


def test_limits_session_and_stdin(any_shop: Workshop, probe: Path) -> None:
    found = _probe(any_shop, probe, options=("--max-processes", "123", "--max-file-size", "54321"))
    assert found["nproc"] == "123"
    assert found["fsize"] == "54321"
    assert found["core"] == "0"
    assert (found["raise-nproc"], found["raise-fsize"]) == ("EPERM", "EPERM")
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


WRITES = """
import os
def tell(name, write):
    try: write(); print(name, 'ok')
    except OSError as error: print(name, type(error).__name__)
def append(path): open(path, 'a').write('x')
os.mkdir('out/a'); os.mkdir('out/b')
tell('out', lambda: append('out/a/file'))
tell('move', lambda: os.rename('out/a/file', 'out/b/file'))
tell('shared', lambda: append('elsewhere/file'))
tell('truncate', lambda: os.truncate('elsewhere/file', 0))
tell('make', lambda: os.mkdir('elsewhere/folder'))
tell('remove', lambda: os.unlink('elsewhere/file'))
tell('link', lambda: os.link('out/b/file', 'elsewhere/link'))
tell('follow', lambda: (os.symlink('../elsewhere/file', 'out/link'), append('out/link')))
tell('read', lambda: open('elsewhere/file').read())
for name in ('null', 'zero', 'full', 'urandom'):
    tell(name, lambda: os.close(os.open(f'/dev/{name}', os.O_WRONLY)))
tell('pty', lambda: os.openpty())
tell('name', lambda: open('/proc/self/comm', 'w').write('me'))
tell('memfd', lambda: os.write(os.memfd_create('m'), b'x'))
"""


def _landlock() -> int:
    """Its version; below 1 where there is none."""
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1))


@pytest.mark.skipif(_landlock() < 2, reason="writing is confined by Landlock from Linux 5.19 on")
def test_it_writes_into_its_folders_and_devices_alone(any_shop: Workshop) -> None:
    """Elsewhere lies what everybody may write, as the termination message of a container does in its /dev."""
    any_shop.recorder()
    for name in ("out", "elsewhere"):
        (any_shop.folder / name).mkdir()
        (any_shop.folder / name).chmod(0o777)
    (any_shop.folder / "elsewhere" / "file").write_text("as it was")
    (any_shop.folder / "elsewhere" / "file").chmod(0o666)
    run = any_shop.start(PYTHON, "-c", WRITES, options=("--writable", str(any_shop.folder / "out")))
    assert run.wait() == 0, run.stdout
    found = dict(line.split() for line in run.stdout.decode().splitlines())
    refused = ["shared", "truncate", "make", "remove", "link", "follow"]
    assert {name for name, said in found.items() if said != "ok"} == set(refused)
    assert {found[name] for name in refused} <= {"PermissionError", "OSError"}
    assert (any_shop.folder / "elsewhere" / "file").read_text() == "as it was"


def test_a_writable_folder_that_is_not_there_starts_nothing(shop: Workshop) -> None:
    recorder = shop.recorder()
    run = shop.start("touch", "ran", options=("--writable", "/no/such/folder"))
    if _landlock() < 2:
        assert run.wait() == 0
        return
    assert run.wait() == 21
    assert recorder.end["cause"] == "could-not-start"
    assert b"writable folders" in run.stderr


def test_a_file_past_the_limit_is_cut_there(shop: Workshop) -> None:
    shop.recorder()
    run = shop.python("open('big', 'wb').write(b'x' * 200_000)", options=("--max-file-size", "100000"))
    assert run.wait() == 10
    assert b"File too large" in run.stdout
    assert (shop.folder / "big").stat().st_size == 100_000


FLOOD_OF_SIGNALS = """
import ctypes, os, signal
libc, own = ctypes.CDLL(None), os.getppid()
folder = os.open(f'/proc/{own}', os.O_RDONLY | os.O_DIRECTORY)
print('up', flush=True)
while True:
    libc.syscall(424, folder, 15, None, 0)
    try: os.kill(own, signal.SIGTERM)
    except OSError: pass
"""


@pytest.mark.parametrize("attempt", range(2))
def test_a_flood_of_signals_does_not_hide_one_from_outside(each_kernel: Workshop, attempt: int) -> None:
    recorder = each_kernel.recorder()
    run = each_kernel.python(FLOOD_OF_SIGNALS)
    recorder.wait_for("log")
    assert run.process.poll() is None, attempt
    os.kill(each_kernel.supervisor_pid(run), signal.SIGTERM)
    assert run.wait() == 11
    assert recorder.end["signal"] == signal.SIGTERM


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
