"""Builds the pinned Go programs into the cache, once a version."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .console import ClusterError, Progress, run, run_logged, say, step
from .fake_clock import write_overlay
from .versions import BY_NAME, TOOLS, Tool, binary_path, cache_dir


@contextmanager
def locked(path: Path, progress: Progress, what: str) -> Iterator[None]:
    """Holds a lock file. The kernel drops it if we die, so a crash cannot leave it locked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"Another run is busy with {what}; waiting for it …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def go_version_needed(module: Path) -> tuple[int, int]:
    """The Go version that a module's go.mod asks for."""
    text = (module / "go.mod").read_text()
    match = re.search(r"^go (\d+)\.(\d+)", text, re.MULTILINE)
    if match is None:
        raise ClusterError(
            f"{module}/go.mod names no Go version, so nothing can be built from it. Run `go mod tidy`."
        )
    return int(match[1]), int(match[2])


def check_go(modules: Iterable[Path]) -> None:
    """Makes sure that Go is there and new enough for these modules."""
    needed = max(go_version_needed(module) for module in modules)
    wanted = f"Go {needed[0]}.{needed[1]} or later"
    if shutil.which("go") is None:
        raise ClusterError(
            f"Go is not installed, so the cluster's programs cannot be built. Install {wanted} (go.dev/doc/install) "
            "and put its bin folder on PATH."
        )
    match = re.search(r"go(\d+)\.(\d+)", run(["go", "version"]))
    have = (int(match[1]), int(match[2])) if match else (0, 0)
    # From 1.21 on Go fetches a newer toolchain by itself, unless told to stay with the local one.
    self_upgrading = have >= (1, 21) and run(["go", "env", "GOTOOLCHAIN"]).strip() != "local"
    if have < needed and not self_upgrading:
        raise ClusterError(
            f"Go {have[0]}.{have[1]} is too old for the pinned programs, so they cannot be built. Install {wanted} "
            "(go.dev/doc/install), or let Go fetch it: export GOTOOLCHAIN=auto."
        )


def build(tool: Tool, progress: Progress) -> None:
    target = binary_path(tool.name)
    unfinished = target.with_name(f".{target.name}.part")
    env = dict(
        os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly -buildvcs=false", GOWORK="off", GO111MODULE="on"
    )
    argv: list[str | Path] = [
        "nice",
        "-n",
        "10",
        "go",
        "build",
        "-trimpath",
        "-ldflags",
        tool.ldflags,
        "-o",
        unfinished,
        tool.package,
    ]
    if tool.fake_clock:
        argv[5:5] = ["-overlay", write_overlay(tool.module)]
    with step(progress, f"building {tool.filename}"):
        log = cache_dir() / "log" / f"build-{tool.filename}.log"
        run_logged(argv, log, f"Building {tool.name}", cwd=tool.module, env=env)
        unfinished.rename(target)


def module_folder(tool: Tool, module: str) -> Path:
    """Of the sources of a module that the tool's own names, in Go's cache: charts and definitions lie there as well."""
    found = run(["go", "-C", tool.module, "mod", "download", "-json", module])
    return Path(json.loads(found)["Dir"])


def binaries(names: Iterable[str] | None = None, progress: Progress = say) -> None:
    """Builds what is not in the cache yet; without ``names``, all that a cluster needs."""
    tools = (
        [tool for tool in TOOLS if not tool.on_demand] if names is None else [BY_NAME[name] for name in names]
    )
    missing = [tool for tool in tools if not binary_path(tool.name).exists()]
    if not missing:
        return
    check_go({tool.module for tool in missing})
    progress(
        f"{len(missing)} of {len(tools)} programs are not built yet: {', '.join(t.name for t in missing)}"
    )
    with locked(cache_dir() / "bin" / ".lock", progress, "building the cluster's programs"):
        for tool in missing:
            if not binary_path(tool.name).exists():  # the run that we waited for may have built it
                build(tool, progress)
