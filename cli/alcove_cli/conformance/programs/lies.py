"""Saves what is no prediction under the name of one."""

import os
import socket
import stat

import numpy as np
from kit import OUT, Attacker, attempt


class Model(Attacker):
    def attack(self):
        self.odd_files()
        self.odd_arrays()
        self.odd_names()
        self.save("good.npy", self.npy(0.5))

    def put(self, name, make):
        """Makes it under a hidden name, then renames it: only the whole is seen."""
        hidden = os.path.join(OUT, ".aside")
        make(hidden)
        os.rename(hidden, os.path.join(OUT, name))

    def odd_files(self):
        self.put("symlink.npy", lambda path: os.symlink("/etc/passwd", path))
        self.put("magic-link.npy", lambda path: os.symlink("/proc/1/environ", path))
        self.put("fifo.npy", os.mkfifo)
        self.put("folder.npy", os.mkdir)
        self.put("socket.npy", self.bind)
        self.put("sparse.npy", lambda path: self.sparse(path, 200 << 20))
        attempt("files/terabyte", self.sparse, os.path.join(OUT, ".terabyte"), 1 << 40)
        attempt("files/device", os.mknod, os.path.join(OUT, ".zero"), stat.S_IFCHR | 0o600, os.makedev(1, 5))
        attempt("files/setuid", self.make_setuid)

    def bind(self, path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)

    def sparse(self, path, size):
        with open(path, "wb") as file:
            file.truncate(size)

    def make_setuid(self):
        path = os.path.join(OUT, ".setuid")
        with open(path, "wb") as file:
            file.write(b"#!/bin/sh\nid -u\n")
        os.chmod(path, 0o6755)
        return os.stat(path).st_uid == os.getuid() and os.getuid() != 0 and "of the run's own uid"

    def odd_arrays(self):
        rows, labels = self.shape
        good = self.npy(0.4)
        header = good[: good.index(b"\n") + 1]
        lie = header.replace(b"%d" % rows, b"%d" % (rows + 1), 1)
        raw = {
            "pickle.npy": b"\x80\x04\x95cposix\nsystem\n(S'true'\ntR.",
            "huge-header.npy": b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + b"{" * 2000,
            "lying-header.npy": lie + good[len(header) :],
            "truncated.npy": good[:-1],
            "longer.npy": good + b"\0",
            "empty.npy": b"",
            "one-line.predict": b"1" * 5_000,
            "words.predict": (b"word " * labels + b"\n") * rows,
        }
        arrays = {
            "object.npy": np.array([[{}] * labels] * rows, dtype=object),
            "complex.npy": np.zeros(self.shape, np.complex64),
            "void.npy": np.zeros(self.shape, "V4"),
            "zero-rows.npy": np.zeros((0, labels), np.float32),
            "three-axes.npy": np.zeros((*self.shape, 1), np.float32),
            "nan.npy": np.full(self.shape, np.nan, np.float32),
        }
        for name, data in raw.items():
            self.put(name, lambda path, data=data: self.write(path, data))
        for name, array in arrays.items():
            self.put(name, lambda path, array=array: self.dump(path, array))
        self.put("fortran.npy", lambda path: self.dump(path, np.zeros(self.shape, np.float32, order="F")))

    def write(self, path, data):
        with open(path, "wb") as file:
            file.write(data)

    def dump(self, path, array):
        with open(path, "wb") as file:
            np.save(file, array, allow_pickle=True)

    def odd_names(self):
        for name in (b"\xff\xfe.npy", b"a\nb\x1b[31m.npy", "<script>é☃.npy".encode()):
            os.rename(self.named(), os.fsencode(OUT) + b"/" + name)

    def named(self):
        path = os.path.join(OUT, ".named")
        self.write(path, self.npy(0.6))
        return os.fsencode(path)
