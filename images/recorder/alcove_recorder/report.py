"""The termination message. The operator trusts it: the participant's container has another file."""

from __future__ import annotations

import os
from pathlib import Path

from alcove_api.run_documents import RecorderReport

_LIMIT = 4096
"""Bytes of a termination message that the kubelet takes."""


class ReportFile:
    """Kept current from the start, so that a recorder that is killed has left its last word."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._written = b""

    def write(self, report: RecorderReport) -> None:
        data = report.canonical()
        if data == self._written:
            return
        assert len(data) <= _LIMIT
        # In place, since it is a mounted file; white space behind is still the same JSON if it ends here.
        os.pwrite(self._fd, data.ljust(len(self._written)), 0)
        os.ftruncate(self._fd, len(data))
        self._written = data
