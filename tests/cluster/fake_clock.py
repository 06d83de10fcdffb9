"""A wall clock that can be stepped, for Go programs: what is preloaded does not reach them, since they ask the kernel.

They are built with another ``time.Now`` in Go's standard library, by Go's own ``-overlay``. It adds the seconds that a
file says, once there is one; timers and the monotonic clock stay right.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from .console import ClusterError, run
from .layout import Node
from .namespaces import find_holder
from .versions import binary_path, cache_dir

OFFSET = "/run/alcove-clock"
"""In the mount namespace of a node."""
_SOURCE = Path(__file__).parent / "go" / "fake-clock" / "offset.go.txt"
_NOW = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"


def write_overlay(module: Path) -> Path:
    """The file for ``go build -overlay``. Raises ClusterError where this Go has another ``time.Now``."""
    library = Path(run(["go", "-C", module, "env", "GOROOT"]).strip()) / "src" / "time"
    original = (library / "time.go").read_text()
    if original.count(_NOW) != 1:
        raise ClusterError(
            f"{library}/time.go has another Now than the fake clock knows, so a program with one cannot be built. "
            f"Change _NOW in {__file__} to what it is in this version of Go."
        )
    folder = cache_dir() / "fake-clock"
    folder.mkdir(parents=True, exist_ok=True)
    changed = folder / "time.go"
    changed.write_text(original.replace(_NOW, f"{_NOW}\tsec += readFakeOffset()\n"))
    overlay = folder / "overlay.json"
    replaced = {str(library / "time.go"): str(changed), str(library / "offset.go"): str(_SOURCE)}
    overlay.write_text(json.dumps({"Replace": replaced}))
    return overlay


def place_kubelet(node: Node) -> None:
    """Has the next kubelet of a node be one whose clock :func:`set_clock` steps. Raises ClusterError."""
    holder = _find_holder(node)
    (Path(f"/proc/{holder}/root") / OFFSET.lstrip("/")).write_bytes(struct.pack("=q", 0))
    mounts = ["nsenter", "--target", str(holder), "--mount", "mount", "--bind"]
    run([*mounts, binary_path("kubelet-fake-clock"), binary_path("kubelet")])


def set_clock(node: Node, seconds: int) -> None:
    """By how much it is wrong. A node that has come back since has its own kubelet, and a right clock."""
    file = Path(f"/proc/{_find_holder(node)}/root") / OFFSET.lstrip("/")
    if file.exists():
        # In place, since it is mapped, and all at once.
        with file.open("r+b", buffering=0) as opened:
            opened.write(struct.pack("=q", seconds))


def _find_holder(node: Node) -> int:
    holder = find_holder(node)
    if holder is None:
        raise ClusterError(f"{node.hostname} is away, so it has no clock that could be stepped.")
    return holder
