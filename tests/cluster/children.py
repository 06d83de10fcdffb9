"""Processes that do not outlive the test run that started them, even where that is killed."""

from __future__ import annotations

WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a command: the kernel kills it when the thread that started it ends. The process id stays the same."""
