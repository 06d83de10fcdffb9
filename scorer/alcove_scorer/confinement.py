"""Takes from a process what it does not need to parse bytes: files, sockets, programs, other processes.

A filter of system calls (seccomp) that allows to use what is open and memory, and nothing else. It is the supervisor's
idea with the list turned round: a participant's program may do much, a parser next to nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from dataclasses import dataclass
from pathlib import Path

from alcove_scorer.errors import InputError

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
"""Of seccomp(2): a filter, and that every thread of the process gets it. NumPy's linear algebra starts threads of its
own, and what has the memory of a process has them too."""
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""What a filter answers; refused calls fail with EPERM (1)."""
_NUMBER, _ARCHITECTURE = 0, 4
"""Where they lie in what the filter looks at."""


MEMORY_BYTES = 1 << 30
"""Half of what the job's container may have; a line of a million numbers as text fits in."""


@dataclass(frozen=True)
class _Machine:
    architecture: int
    """As the kernel's audit names it."""
    seccomp: int
    """Number of that call."""
    calls: tuple[int, ...]


# read, write, readv, writev, mmap, mprotect, munmap, mremap, brk, madvise, futex, rt_sigprocmask, rt_sigreturn,
# sigaltstack, sched_yield, clock_gettime, getrandom, restart_syscall, exit, exit_group
_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 317, (0, 1, 19, 20, 9, 10, 11, 25, 12, 28, 202, 14, 15, 131, 24, 228, 318, 219, 60, 231)
    ),
    "aarch64": _Machine(
        0xC00000B7,
        277,
        (63, 64, 65, 66, 222, 226, 215, 216, 214, 233, 98, 135, 139, 132, 124, 113, 278, 128, 93, 94),
    ),
}


def confine() -> None:
    """From here on all threads of the process can use its open descriptors, and :data:`MEMORY_BYTES` more than now.
    It cannot be undone.

    Raises InputError where the machine or its kernel has no such filter: then nothing hostile is to be parsed.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise InputError(f"a parser cannot be confined on {platform.machine()}: x86_64 and aarch64 are known")
    most = _address_space() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
        resource.setrlimit(limit, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    program = _filter(machine)
    instructions = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(instructions)))
    # The answer of a filter that one thread could not take is that thread's number.
    done = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if not done or libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, header) != 0:
        raise InputError(f"a parser cannot be confined here: {os.strerror(ctypes.get_errno())}")


def _address_space() -> int:
    """Bytes that the process has mapped, most of them for its libraries and threads and never used."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()


def _filter(machine: _Machine) -> bytes:
    """Instructions of the kernel's packet filter."""
    count = len(machine.calls)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 1, 0, machine.architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        *((_JUMP_IF_EQUAL, count - place, 0, call) for place, call in enumerate(machine.calls)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
