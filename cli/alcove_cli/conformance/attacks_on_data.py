"""Attacks that look for what is not the participant's: networks, files, processes, rights, hidden data."""

from __future__ import annotations

from alcove_cli.conformance.catalogue import Attack, Case
from alcove_cli.conformance.checks import (
    canary_is_hidden,
    ended,
    every,
    exited_with,
    in_order,
    is_unreadable,
    said,
    sealed_by_recorder,
    taken,
)

_NO_SOCKET = ("EACCES",)
_UNREADABLE = ("EACCES", "ENOENT", "EPERM")
_UNWRITABLE = ("EROFS", "EACCES", "EPERM")


def _network(name: str, attack: str, *expected: str) -> Case:
    return Case(f"data/{name}", "network", attack, "refused", said(f"data/{name}", *(expected or _NO_SOCKET)))


def _cage(name: str, attack: str, *expected: str) -> Case:
    return Case(f"data/{name}", "cage", attack, "refused", said(f"data/{name}", *expected))


def _supervisor(name: str, attack: str, *expected: str) -> Case:
    case = f"rights/{name}"
    return Case(case, "supervisor", attack, "refused", said(case, *(expected or ("EPERM",))))


NETWORK = (
    _network("api-server", "a connection to the API server"),
    _network("store", "a connection to the object store"),
    _network("another-pod", "a connection to another pod"),
    _network("metadata-address", "a connection to the cloud's metadata address"),
    _network("dns", "a question to a name server"),
    _network("loopback", "a connection to the pod's own loopback address"),
    _network("ipv6", "a connection by IPv6"),
    _network("raw-socket", "a raw socket", "EACCES", "EPERM"),
    _network("packet-socket", "a packet socket", "EACCES", "EPERM"),
    _network("netlink-socket", "a netlink socket"),
    _network("vsock-socket", "a socket to the hypervisor"),
    _network("crypto-socket", "a socket of the kernel's cryptography"),
    _network("bluetooth-socket", "a Bluetooth socket"),
)
FILES = (
    _cage(
        "mounts",
        "a look for other volumes of the pod",
        "['code', 'data', 'out', 'run']",
        # Where the competition names an image of its own, which need not hold the supervisor.
        "['bin', 'code', 'data', 'out', 'run']",
    ),
    _cage("spool", "a look into the recorder's spool", "ENOENT"),
    _cage("store-credentials", "a look for credentials of the store", "ENOENT"),
    _cage("service-account", "a look for the pod's token", "ENOENT"),
    _cage("node-files", "a look at the node's files", "ENOENT", "EACCES"),
    _cage("solution", "a search for the solution", "[]"),
    _cage("environment", "a search of the environment for secrets and the store", "[]"),
    _cage("write-data", "a change to the dataset", *_UNWRITABLE),
    _cage("write-code", "a change to the staged code", *_UNWRITABLE),
    _cage("write-supervisor", "a change to the supervisor", *_UNWRITABLE, "ETXTBSY"),
    _cage("write-run", "a file beside the recorder's socket", *_UNWRITABLE),
    _cage("write-root", "a change to the image's files", *_UNWRITABLE),
    _cage("processes", "a look for processes of others", "[]"),
    _cage("supervisor-environ", "a read of the supervisor's environment", *_UNREADABLE),
    _cage("supervisor-memory", "a read of the supervisor's memory", *_UNREADABLE),
    _cage("supervisor-files", "a look at the supervisor's descriptors", *_UNREADABLE),
    _cage("kernel-log", "a read of the kernel's log", *_UNREADABLE),
)
SUPERVISOR = (
    _supervisor("kill", "SIGKILL to the supervisor"),
    _supervisor("stop", "SIGSTOP to the supervisor"),
    _supervisor("terminate", "SIGTERM to the supervisor"),
    _supervisor("renice", "a lower priority for the supervisor"),
    _supervisor("affinity", "another processor for the supervisor"),
    _supervisor("trace", "tracing the supervisor"),
    _supervisor("pidfd", "a descriptor of the supervisor"),
    _supervisor("limit", "a limit of no processor time for the supervisor"),
    _supervisor("user-namespace", "a user namespace, to be root in it"),
    _supervisor("mount", "a mount"),
    _supervisor("setuid", "becoming root"),
    _supervisor("keys", "the kernel's keys of its uid"),
    _supervisor("gpu-visibility", "seeing the node's GPUs without having asked for one", "void"),
    Case(
        "rights/unharmed",
        "supervisor",
        "all of this in one run: supervisor and recorder are there at its end",
        "harmless",
        every(taken("done.npy"), in_order, sealed_by_recorder, ended("Finished", "")),
    ),
)
REACH = Attack("reach", (*NETWORK, *FILES, *SUPERVISOR))
LEAK = Attack(
    "leak",
    (
        Case(
            "data/canary",
            "secrecy",
            "hidden features printed, raised, and put into names of files and the termination message",
            "contained",
            canary_is_hidden,
            "the participant",
        ),
    ),
    phase="blind",
)
EXIT_CODE = Attack(
    "exit_code",
    (
        Case(
            "data/exit-code",
            "secrecy",
            "hidden features told by the exit status",
            "contained",
            every(exited_with(77), is_unreadable(r"(status|code|exit\w*)\W{1,4}77\b")),
            "the participant",
        ),
        Case(
            "data/prediction-count",
            "secrecy",
            "hidden features told by the number of predictions",
            "contained",
            is_unreadable(r'"snapshots":\s*[1-9]|\b7 predictions'),
            "the participant",
        ),
    ),
    phase="blind",
)
BLAME = Attack(
    "blame",
    (
        Case(
            "rights/blame",
            "payer",
            "a program that ends with the supervisor's own status for a lost recorder, and says so everywhere",
            "contained",
            every(ended("ExitCode", "Participant"), taken("one.npy"), sealed_by_recorder),
            "the participant",
        ),
    ),
)
ATTACKS = (REACH, LEAK, EXIT_CODE, BLAME)
