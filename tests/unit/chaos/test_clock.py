"""The clock that is preloaded into a process of a shaken cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.chaos import clock_faults

TOLD = """
import datetime, time
time.sleep(0.01)
print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())
"""


def test_it_is_wrong_by_what_its_file_says_and_only_the_wall_clock(tmp_path: Path) -> None:
    offset, library = tmp_path / "offset", tmp_path / "clock.so"
    clock_faults.compile_clock(library, offset)

    def read() -> list[float]:
        argv = [sys.executable, "-I", "-c", TOLD]
        out = subprocess.run(
            argv, env={**os.environ, "LD_PRELOAD": str(library)}, check=True, capture_output=True
        )
        return [float(word) for word in out.stdout.split()]

    for text, seconds in (("", 0), ("+3600\n", 3600), ("-3600\n", -3600), ("+0\n", 0)):
        if text:
            offset.write_text(text)
        for found, right in zip(
            read(), (time.time() + seconds, time.time() + seconds, time.monotonic()), strict=True
        ):
            assert abs(found - right) < 600
