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


def _compile(name: str, folder: Path) -> Path:
    if not shutil.which("cc"):
        _missing(f"cc is needed to build {name}: apt-get install gcc libc6-dev")
    target, source = folder / name, Path(__file__).with_name(f"{name}.c")
    flags = ["-static", "-O1", "-Wall", "-Wno-unused-result", "-Werror"]
    subprocess.run(["cc", *flags, "-o", str(target), str(source)], check=True)
    return target


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """probe.c, which tries what the supervisor has to refuse."""
    return _compile("probe", tmp_path_factory.mktemp("probe"))


@pytest.fixture(scope="session")
def without_landlock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """without_landlock.c, which runs a command as on a kernel that has no Landlock."""
    return _compile("without_landlock", tmp_path_factory.mktemp("without"))


@pytest.fixture(params=["as it is", "without Landlock"])
def each_kernel(request: pytest.FixtureRequest, any_shop: Workshop) -> Workshop:
    """Each way of finding what has to be killed, on this kernel and on one before Linux 5.13."""
    if request.param == "without Landlock":
        built: Path = request.getfixturevalue("without_landlock")
        wrapper = any_shop.folder / "without_landlock"
        shutil.copy(built, wrapper)
        wrapper.chmod(0o555)
        any_shop.within = [str(wrapper)]
    return any_shop


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
