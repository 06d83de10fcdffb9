"""Process 1 of a cluster: makes its namespaces, starts its daemons in order, restarts what dies, reaps.

Run as a script by path, not as part of the package, and imports nothing of it: it lives as long as the cluster,
whatever becomes of the checkout. Killing it is how a cluster is taken down: the kernel then kills every process of
the PID namespace, and with the last of them go its mounts and its network.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000

_LIBC = ctypes.CDLL(None, use_errno=True)
RESTART_AFTER = 1.0
STEP_TIMEOUT = 120.0


class Supervisor:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.state = Path(spec["state"])
        self.commands: dict[str, dict[str, Any]] = {}
        self.running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
        self.due: dict[str, float] = {}
        self.restarts: dict[str, int] = {}
        self.nodes: dict[str, int] = {}
        """Further nodes: the process that holds the namespaces of each, by its number."""
        self.step = ""
        self.failed = ""

    def report(self) -> None:
        """Tells those outside, who can't see our memory, how far we are."""
        unfinished = self.state / ".status.json.part"
        unfinished.write_text(
            json.dumps(
                {"step": self.step, "failed": self.failed, "restarts": self.restarts, "nodes": self.nodes}
            )
        )
        unfinished.rename(self.state / "status.json")

    def place(self, step: dict[str, Any]) -> list[str]:
        """The command of a step, in the namespaces of its node."""
        return [*_enter(self.holder(step)), *step["argv"]]

    def holder(self, step: dict[str, Any]) -> int | None:
        return self.nodes[step["node"]] if "node" in step else None

    def is_gone(self, step: dict[str, Any]) -> bool:
        """Whether the namespaces that a step needs are not there any more."""
        return step["do"] != "make-node" and step.get("node", "") not in {"", *self.nodes}

    def launch(self, name: str) -> None:
        command = self.commands[name]
        with open(self.state / "log" / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                self.place(command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd="/",
                env=self.spec["env"], start_new_session=True, preexec_fn=_unblock_signals,
            )  # fmt: skip
        self.running[process.pid] = (name, process)

    def reap(self) -> None:
        """Collects the dead, ours and those that were left to us, and plans restarts."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.nodes.values():
                self.nodes = {number: holder for number, holder in self.nodes.items() if holder != pid}
                self.report()
            if pid in self.running:
                name, process = self.running.pop(pid)
                process.returncode = os.waitstatus_to_exitcode(status)
                self.restarts[name] = self.restarts.get(name, 0) + 1
                self.due[name] = time.monotonic() + RESTART_AFTER
                self.report()

    def tick(self, patience: float) -> None:
        """One turn of the loop: sleeps until a child dies or the patience ends."""
        signal.sigtimedwait({signal.SIGCHLD}, patience)
        self.reap()
        now = time.monotonic()
        for name in [name for name, at in self.due.items() if at <= now]:
            del self.due[name]
            # A node that is gone starts from its first step when it comes back.
            if not self.is_gone(self.commands[name]):
                self.launch(name)

    def await_condition(self, step: dict[str, Any]) -> bool:
        deadline = time.monotonic() + STEP_TIMEOUT
        while self.is_gone(step) or not _holds(step, self.holder(step)):
            if self.is_gone(step) or time.monotonic() > deadline:
                return False
            self.tick(0.05)
        return True

    def take(self, step: dict[str, Any]) -> str:
        """Does one step; returns what went wrong, or nothing."""
        self.step = step["name"]
        self.report()
        if self.is_gone(step):
            return f"{step['name']} could not be done: its node is gone"
        if step["do"] == "make-node":
            self.nodes[step["node"]] = _make_node(step)
            self.report()
        elif step["do"] == "start":
            self.commands[step["name"]] = step
            self.launch(step["name"])
        elif step["do"] == "run":
            with open(self.state / "log" / f"{step['name']}.log", "ab") as log:
                # Nothing reaps meanwhile, so this wait can't lose its child to our own reaper.
                result = subprocess.run(
                    self.place(step), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    env=self.spec["env"], preexec_fn=_unblock_signals, check=False,
                )  # fmt: skip
            if result.returncode != 0:
                return f"{step['name']} failed with status {result.returncode}"
        elif not self.await_condition(step):
            return f"{step['name']} did not come about within {STEP_TIMEOUT:.0f} s"
        return ""

    def run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        for step in self.spec["steps"]:
            self.failed = self.take(step)
            if self.failed:
                break
        if not self.failed:
            self.step = "all started"
        self.report()
        while True:
            lost = {number for step in self.spec["steps"] if (number := step.get("node"))} - self.nodes.keys()
            self.tick(0.5 if self.due or lost else 3600.0)
            for number in lost:
                self.bring_back(number)

    def bring_back(self, number: str) -> None:
        """Starts a node whose namespaces are gone, unless it is to stay away: then a file says so."""
        if number in self.nodes or (self.state / f"away-{number}").exists():
            return
        for step in self.spec["steps"]:
            if step.get("node") == number and not self.is_gone(step) and (failed := self.take(step)):
                self.failed = "" if self.is_gone(step) else failed
                break
        self.report()


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _enter(holder: int | None) -> list[str]:
    """What stands before a command that is to run in the namespaces of that process; nothing for our own."""
    if holder is None:
        return []
    return ["nsenter", "--target", str(holder), "--mount", "--net", "--uts", "--ipc", "--"]


def _holds(step: dict[str, Any], holder: int | None) -> bool:
    if "path" in step:
        return os.path.exists(f"/proc/{holder}/root{step['path']}" if holder else step["path"])
    if "address" in step:
        ask = [*_enter(holder), "ip", "-4", "-o", "address", "show"]
        probe = subprocess.run(ask, capture_output=True, text=True, check=False)
        return f" {step['address']}/" in probe.stdout
    if "tcp" in step:
        host, port = step["tcp"]
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            return False
    # Only readiness is asked for here, and nothing secret is sent.
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(step["https"], timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _mount(*argv: str) -> None:
    subprocess.run(["mount", *argv], check=True)


def pretend_sysctls(settings: dict[str, str]) -> None:
    """Puts plain files over some kernel settings, for this mount namespace alone.

    Kubelet insists on panic and overcommit rules of its own, and these belong to the whole host: so it reads what
    it wants to see, and has nothing to change.
    """
    for path, value in settings.items():
        stand_in = Path("/run/alcove-sysctl") / path.replace("/", "_")
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(value + "\n")
        _mount("--bind", str(stand_in), f"/proc/sys/{path}")


def isolate(spec: dict[str, Any]) -> None:
    """Gives this mount namespace its own view: default paths for the daemons, kept in the state folder."""
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", "/proc")
    for source, target in spec["binds"]:
        _mount("--bind", source, target)
    # Sockets, network namespaces and runc's state live here, and etcd's data: nobody waits for a disk.
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    pretend_sysctls(spec["sysctls"])
    # Kubelet wants to share mounts with containers; the sharing ends at this namespace.
    _mount("--make-rshared", "/")
    socket.sethostname(spec["hostname"])


def _unshare(flags: int) -> None:
    if _LIBC.unshare(flags) != 0:
        sys.exit(f"unshare failed: {os.strerror(ctypes.get_errno())}")


def _make_node(spec: dict[str, Any]) -> int:
    """Namespaces of a further node, but for processes, which it shares with us; returns who holds them."""
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        _unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
        _mount("--make-rprivate", "/")
        # What the first node has mounted below these would live on here after it is unmounted there.
        for folder in ("/run", *(target for _, target in spec["binds"])):
            subprocess.run(["umount", "--lazy", folder], check=True)
        isolate(spec)
        # By this a kubelet tells that its machine has started anew.
        pretend_sysctls({"kernel/random/boot_id": str(uuid.uuid4())})
        if "disk" in spec:
            os.makedirs("/var/lib/kubelet", exist_ok=True)
            _mount("-o", "loop", spec["disk"], "/var/lib/kubelet")
        os.write(done, b"1")
        while True:
            signal.pause()
    os.close(done)
    with os.fdopen(ready, "rb") as pipe:
        pipe.read(1)
    return child


def _start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot: with its number this names it once and for all."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    for door in spec["cgroups"]:
        Path(door).write_text(str(os.getpid()))
    _unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET)
    child = os.fork()
    if child:
        identity = {
            "pid": child,
            "started": _start_time(child),
            "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        }
        unfinished = Path(spec["state"]) / ".init.json.part"
        unfinished.write_text(json.dumps(identity))
        unfinished.rename(Path(spec["state"]) / "init.json")
        os._exit(0)
    os.setsid()
    isolate(spec)
    Supervisor(spec).run()


if __name__ == "__main__":
    main()
