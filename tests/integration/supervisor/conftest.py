from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import SOURCE, Workshop, may_unshare, workshop


def _missing(what: str) -> None:
    """A gap is told, and is a failure where everything is expected to be there."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The supervisor, built from its sources; ALCOVE_SUPERVISOR names another build, such as `make sanitize`'s."""
    if given := os.environ.get("ALCOVE_SUPERVISOR"):
        return Path(given)
    if not (shutil.which("cc") and shutil.which("make")):
        _missing("cc and make are needed to build the supervisor: apt-get install gcc make libc6-dev")
    source = tmp_path_factory.mktemp("supervisor") / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("build"))
    subprocess.run(["make", "-C", str(source)], check=True, capture_output=True)
    return source / "build" / "alcove-supervisor"


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """probe.c, which tries what the supervisor has to refuse."""
    if not shutil.which("cc"):
        _missing("cc is needed to build the probe: apt-get install gcc libc6-dev")
    target = tmp_path_factory.mktemp("probe") / "probe"
    source = Path(__file__).with_name("probe.c")
    subprocess.run(["cc", "-static", "-O1", "-Wall", "-Werror", "-o", str(target), str(source)], check=True)
    return target


@pytest.fixture
def shop(binary: Path) -> Iterator[Workshop]:
    """Where any way of running it will do."""
    with workshop(binary) as place:
        yield place


@pytest.fixture(params=["pid1", "namespace", "subreaper"])
def any_shop(request: pytest.FixtureRequest, binary: Path) -> Iterator[Workshop]:
    """Each way of finding what has to be killed."""
    scope = str(request.param)
    if scope == "pid1" and not may_unshare():
        _missing("a PID namespace needs root with CAP_SYS_ADMIN here")
    with workshop(binary, scope) as place:
        yield place
