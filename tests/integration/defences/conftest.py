"""The fixtures of the supervisor's and the recorder's tests, and a supervisor with one defence switched off."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.recorder.conftest import start
from tests.integration.supervisor.conftest import binary, probe
from tests.integration.supervisor.harness import SOURCE

__all__ = ["binary", "probe", "start"]
Build = Callable[..., Path]
REAL = {"prctl", "output_init"}
"""Functions that switched_off.c calls as well."""
SWITCHED_OFF = Path(__file__).with_name("switched_off.c")


@pytest.fixture(scope="session")
def build_without(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds the supervisor from its sources with these functions, its own or the C library's, doing nothing."""
    built: dict[tuple[str, ...], Path] = {}

    def build(*functions: str) -> Path:
        if functions not in built:
            target = tmp_path_factory.mktemp("without") / "alcove-supervisor"
            flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-static"]
            flags += [f"-Wl,--wrap={name}" for name in functions]
            # Those that stay as they are have no other name by themselves.
            flags += [f"-Wl,--defsym=__real_{name}={name}" for name in REAL.difference(functions)]
            command = [
                "cc",
                *flags,
                "-o",
                str(target),
                *map(str, sorted(SOURCE.glob("*.c"))),
                str(SWITCHED_OFF),
            ]
            subprocess.run(command, check=True, capture_output=True)
            built[functions] = target
        return built[functions]

    return build
