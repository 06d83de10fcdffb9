"""What init.py does, one after the other, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .console import ClusterError
from .deps import tool_path

Step = dict[str, Any]


def program(name: str) -> str:
    path = tool_path(name)
    if path is None:
        raise ClusterError(
            f"The program {name} is not installed, so the cluster cannot start. "
            "Install what is missing with: python -m tests.cluster deps"
        )
    return path


def start(name: str, *argv: str | Path) -> Step:
    return {"do": "start", "name": name, "argv": [str(arg) for arg in argv]}


def wait(name: str, **condition: object) -> Step:
    return {"do": "wait", "name": name, **condition}
