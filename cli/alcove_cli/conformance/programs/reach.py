"""Looks for whatever is not the participant's: networks, files, processes, credentials."""

import os
import socket
import struct

from kit import Attacker, attempt, call, report

STORE, API, POD = "STORE_HOST", "API_HOST", "POD_HOST"
# In an image of the release, or put into another.
SUPERVISORS = ("/opt/alcove/bin/alcove-supervisor", "/alcove/bin/alcove-supervisor")


class Model(Attacker):
    def attack(self):
        self.sockets()
        self.files()
        self.processes()
        self.save("done.npy", self.npy(0.5))

    def sockets(self):
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        for case, family, kind, address in (
            ("api-server", socket.AF_INET, stream, (API, 443)),
            ("store", socket.AF_INET, stream, (STORE, 9000)),
            ("another-pod", socket.AF_INET, stream, (POD, 8080)),
            ("metadata-address", socket.AF_INET, stream, ("169.254.169.254", 80)),
            ("dns", socket.AF_INET, datagram, ("8.8.8.8", 53)),
            ("loopback", socket.AF_INET, stream, ("127.0.0.1", 9000)),
            ("ipv6", socket.AF_INET6, stream, ("::1", 9000)),
        ):
            attempt("data/" + case, self.connect, family, kind, address)
        for case, family, kind, protocol in (
            ("raw-socket", socket.AF_INET, socket.SOCK_RAW, 1),
            ("packet-socket", 17, socket.SOCK_RAW, 0x300),
            ("netlink-socket", 16, socket.SOCK_RAW, 0),
            ("vsock-socket", 40, stream, 0),
            ("crypto-socket", 38, 5, 0),
            ("bluetooth-socket", 31, stream, 0),
        ):
            attempt("data/" + case, socket.socket, family, kind, protocol)

    def connect(self, family, kind, address):
        with socket.socket(family, kind) as s:
            s.settimeout(3)
            s.connect(address)

    def files(self):
        report("data/mounts", sorted(os.listdir("/alcove")))
        attempt("data/spool", os.listdir, "/alcove/spool")
        attempt("data/store-credentials", os.listdir, "/alcove/store")
        attempt("data/service-account", os.listdir, "/var/run/secrets/kubernetes.io/serviceaccount")
        attempt("data/node-files", os.listdir, "/var/lib/kubelet")
        report("data/solution", [path for path in self.tree("/alcove") if "solution" in path])
        secret = ("SECRET", "TOKEN", "STORE", "PASSWORD", "CREDENTIAL")
        report("data/environment", sorted(name for name in os.environ if any(s in name for s in secret)))
        for case, path in (
            ("write-data", os.path.join(os.environ["ALCOVE_DATA"], "mine")),
            ("write-code", "/alcove/code/mine"),
            ("write-supervisor", next(filter(os.path.exists, SUPERVISORS))),
            ("write-run", "/alcove/run/mine"),
            ("write-root", "/etc/passwd"),
        ):
            attempt("data/" + case, self.write, path)
        report("rights/gpu-visibility", os.environ.get("NVIDIA_VISIBLE_DEVICES", "all"))
        report("rights/uid", os.getuid())

    def tree(self, root):
        return [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]

    def read(self, path):
        with open(path, "rb") as file:
            return file.read(100)

    def write(self, path):
        with open(path, "ab") as file:
            file.write(b'{"cause": "RecorderLost"}')

    def processes(self):
        seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
        own = [pid for pid in seen if pid != 1 and os.stat(f"/proc/{pid}").st_uid != os.getuid()]
        report("data/processes", own)
        attempt("data/supervisor-environ", self.read, "/proc/1/environ")
        attempt("data/supervisor-memory", self.read, "/proc/1/mem")
        attempt("data/supervisor-files", os.listdir, "/proc/1/fd")
        attempt("data/kernel-log", self.read, "/dev/kmsg")
        attempt("rights/kill", os.kill, 1, 9)
        attempt("rights/stop", os.kill, 1, 19)
        attempt("rights/terminate", os.kill, 1, 15)
        attempt("rights/renice", os.setpriority, os.PRIO_PROCESS, 1, 19)
        attempt("rights/affinity", os.sched_setaffinity, 1, {0})
        attempt("rights/trace", call, TRACE[os.uname().machine], 0x4206, 1, 0, 0)
        attempt("rights/pidfd", os.pidfd_open, 1)
        attempt("rights/limit", self.limit)
        attempt("rights/user-namespace", self.unshare, 0x10000000)
        attempt("rights/mount", self.mount)
        attempt("rights/setuid", os.setuid, 0)
        attempt("rights/keys", call, KEYS[os.uname().machine], 0, -3, 0, 0, 0)

    def limit(self):
        import resource

        resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))

    def unshare(self, flags):
        call(UNSHARE[os.uname().machine], flags)

    def mount(self):
        call(MOUNT[os.uname().machine], b"none", b"/tmp", b"tmpfs", 0, 0)


TRACE = {"x86_64": 101, "aarch64": 117}
KEYS = {"x86_64": 250, "aarch64": 219}
UNSHARE = {"x86_64": 272, "aarch64": 97}
MOUNT = {"x86_64": 165, "aarch64": 40}
assert struct.calcsize("P") == 8
