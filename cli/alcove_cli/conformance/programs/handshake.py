"""Speaks to the recorder in the supervisor's place."""

import contextlib
import socket

from kit import Attacker, attempt

SOCKET = "/alcove/run/go.sock"


class Model(Attacker):
    def attack(self):
        self.save("before.npy", self.npy(0.1))
        for case, said in (
            ("hello", b"hello\n"),
            ("go", b"go\n"),
            ("resume", b"resume " + b"0" * 32 + b"\n"),
            ("end", b"end finished 0 0 1 0\n"),
            ("oversized", b"hello " + b"x" * 100_000 + b"\n"),
            ("binary", bytes(range(256)) * 20),
        ):
            attempt("time/handshake-" + case, self.ask, said)
        crowd = [self.connect() for _ in range(120)]
        attempt("time/handshake-crowd", self.ask, b"hello\n")
        del crowd
        self.save("after.npy", self.npy(0.2))

    def connect(self):
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(2)
        with contextlib.suppress(OSError):  # its queue is full
            line.connect(SOCKET)
        return line

    def ask(self, said):
        """What the recorder answers; "" where it closes the connection or stays silent. Raises where there is none."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(2)
            line.connect(SOCKET)
            try:
                line.sendall(said)
                return line.recv(200)
            except OSError:
                return b""
