"""How far the first process of a cluster is, and which processes stand for its nodes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .layout import Node, init_pid


def read_status(state: Path) -> dict[str, Any]:
    try:
        status: dict[str, Any] = json.loads((state / "status.json").read_text())
        return status
    except (OSError, ValueError):
        return {"step": "its first process", "failed": "", "restarts": {}, "nodes": {}}


def find_holder(node: Node) -> int | None:
    """A process that stays in the namespaces of a node for as long as they last, as the host numbers it."""
    first = init_pid(node.plan.state)
    if node.number == 1 or first is None:
        return first
    inner = read_status(node.plan.state).get("nodes", {}).get(str(node.number))
    space = os.readlink(f"/proc/{first}/ns/pid")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns/pid") == space and _number_inside(folder) == inner:
                return int(folder.name)
        except OSError:
            continue  # gone meanwhile
    return None


def _number_inside(process: Path) -> int:
    """Of a process in its own PID namespace."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[-1]) for line in lines if line.startswith("NSpid:"))
