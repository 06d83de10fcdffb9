"""The MinIO that tests stand on: it works when it is given, and goes with whoever started it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

TEST_RUN = """
import os
from pathlib import Path
from tests.cluster.minio import minio_server
with minio_server(lambda _: None):
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    print(children, flush=True)
    input()
"""


def test_a_killed_test_run_leaves_no_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TEST_RUN]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=environment
    ) as tests:
        assert tests.stdout is not None
        [server] = map(int, tests.stdout.readline().split())
        watched = os.pidfd_open(server)
        os.kill(tests.pid, signal.SIGKILL)
    try:
        assert select.select([watched], [], [], 30)[0], "MinIO runs on"
    finally:
        os.close(watched)
