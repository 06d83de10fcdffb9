"""Code with names that some file systems take for one another: each keeps its own content."""

import os

from kit import Attacker, report

CODE = os.environb[b"ALCOVE_CODE"]


def read(name):
    with open(os.path.join(CODE, name), "rb") as file:
        return file.read().decode()


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        names = ("caf\u00e9".encode(), "cafe\u0301".encode(), b"MODEL.py")
        report("files/bundle-twins", " ".join(read(name) for name in names))
        report("files/bundle-bytes", read(b"bytes-\xff"))
        mode = os.stat(os.path.join(CODE, b"setuid")).st_mode & 0o7777
        report("files/bundle-setuid", f"mode {oct(mode)}")
