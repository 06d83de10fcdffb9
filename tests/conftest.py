"""For all tests: nothing is measured against the clock, which on a shared machine says little."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.cluster import api

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell that runs the tests in the background has SIGINT ignored, and what the tests start and interrupt would inherit
# that. A handler of ours is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)


def say(message: str) -> None:
    print(message, file=sys.__stderr__, flush=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[api.Cluster]:
    """The throwaway cluster: one for all tests that need a node."""
    # A cluster that is up already can be named, to try one test again and again.
    running = os.environ.get("ALCOVE_E2E_CLUSTER")
    name = running or f"e2e-{os.getpid()}"
    raised = api.up(name, progress=say)
    yield raised
    if not running:
        api.down(name, progress=say)


@pytest.fixture(autouse=True)
def _working_directory() -> Iterator[None]:
    """The same for each test: the participant's code runs in its own folder, also in a test's process."""
    before = os.getcwd()
    yield
    os.chdir(before)
