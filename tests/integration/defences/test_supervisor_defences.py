"""Each defence of the supervisor holds its attack off, and without it the attack succeeds: no test of it is empty."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.supervisor.harness import PYTHON, SOURCE, Workshop, may_unshare, workshop
from tests.integration.supervisor.test_confinement import _landlock

from .conftest import Build

pytestmark = [
    pytest.mark.skipif(_landlock() < 2, reason="writing is confined by Landlock from Linux 5.19 on"),
    pytest.mark.skipif(not may_unshare(), reason="a PID namespace needs root with CAP_SYS_ADMIN here"),
]
SCOPE = "pid1"
"""As in a pod."""
Attack = Callable[[Workshop], bool]
"""Whether it got what it wanted."""


def open_a_network_socket(shop: Workshop) -> bool:
    shop.recorder()
    run = shop.python("import socket; socket.socket(socket.AF_INET)")
    return run.wait() == 0


def slow_the_supervisor(shop: Workshop) -> bool:
    shop.recorder()
    return shop.python("import os; os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)").wait() == 0


def write_elsewhere(shop: Workshop) -> bool:
    shop.recorder()
    (shop.folder / "out").mkdir()
    shop.start(
        PYTHON, "-c", "open('elsewhere', 'w')", options=("--writable", str(shop.folder / "out"))
    ).wait()
    return (shop.folder / "elsewhere").exists()


def write_after_the_budget(shop: Workshop) -> bool:
    shop.recorder(budget_s=0.5)
    shop.python(
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "time.sleep(1.5); open('late', 'w')\n"
    ).wait()
    return (shop.folder / "late").exists()


def read_the_supervisors_environment(shop: Workshop) -> bool:
    shop.recorder()
    run = shop.python("import os; open(f'/proc/{os.getppid()}/environ', 'rb').read()")
    return run.wait() == 0


def make_more_processes_than_allowed(shop: Workshop) -> bool:
    shop.recorder()
    run = shop.python(
        "import os, time\nfor _ in range(40):\n    if os.fork() == 0: time.sleep(60); os._exit(0)\n",
        options=("--max-processes", "20"),
    )
    return run.wait() == 0


def write_a_file_past_the_limit(shop: Workshop) -> bool:
    shop.recorder()
    shop.python("open('big', 'wb').write(bytes(200_000))", options=("--max-file-size", "100000")).wait()
    return (shop.folder / "big").stat().st_size > 100_000


def write_more_output_than_is_kept(shop: Workshop) -> bool:
    recorder = shop.recorder()
    shop.python("print('x' * 300_000)", options=("--log-limit", "100000")).wait()
    return len(recorder.log) >= 300_000


DEFENCES: dict[str, tuple[tuple[str, ...], Attack]] = {
    "seccomp filter: sockets": (("filter_install",), open_a_network_socket),
    "seccomp filter: calls to the supervisor": (("filter_install",), slow_the_supervisor),
    "Landlock": (("landlock_confine",), write_elsewhere),
    "kill at the budget": (("scope_kill",), write_after_the_budget),
    # Landlock keeps whoever it holds from reading those outside too.
    "unreadable supervisor": (("prctl", "landlock_confine"), read_the_supervisors_environment),
    "process limit": (("setrlimit",), make_more_processes_than_allowed),
    "file size limit": (("setrlimit",), write_a_file_past_the_limit),
    "output limit": (("output_init",), write_more_output_than_is_kept),
}
"""What is switched off, and the attack that this lets through."""


@pytest.mark.parametrize("name", DEFENCES)
def test_the_attack_fails_and_without_the_defence_succeeds(
    binary: Path, build_without: Build, name: str
) -> None:
    functions, attack = DEFENCES[name]
    with workshop(binary, SCOPE) as shop:
        assert not attack(shop)
    with workshop(build_without(*functions), SCOPE) as shop:
        assert attack(shop)


@pytest.mark.parametrize("linked", ["-static", "-rdynamic"])
def test_an_image_preloads_no_library_into_the_supervisor_because_it_is_linked_statically(
    tmp_path: Path, linked: str
) -> None:
    """The kubelet passes the variables of an image on to the container's first process."""
    supervisor, library, trace = (tmp_path / name for name in ("alcove-supervisor", "library.so", "trace"))
    (tmp_path / "library.c").write_text(
        "#include <fcntl.h>\n"
        f'__attribute__((constructor)) static void leave_trace(void) {{ open("{trace}", O_CREAT, 0600); }}\n'
    )
    build = ["cc", "-std=c11", "-D_GNU_SOURCE", "-o"]
    sources = map(str, sorted(SOURCE.glob("*.c")))
    subprocess.run([*build, str(supervisor), linked, *sources], check=True, capture_output=True)
    subprocess.run([*build, str(library), "-shared", "-fPIC", str(tmp_path / "library.c")], check=True)
    (tmp_path / "bin").mkdir()
    command = [str(supervisor), "install", str(tmp_path / "bin")]
    subprocess.run(command, env={"LD_PRELOAD": str(library)}, check=True)
    assert trace.exists() is (linked != "-static")
