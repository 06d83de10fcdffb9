"""Floods all that is counted: names in the output folder, output, descriptors, inotify, small files, signals."""

import ctypes
import os

from kit import OUT, Attacker, report


class Model(Attacker):
    def attack(self):
        self.save("first.npy", self.npy(0.5))
        report("resources/inotify", self.take_inotify())
        report("resources/descriptors", self.take_descriptors())
        report("resources/small-files", self.make_small_files())
        self.sleep_until(4)
        self.save("between.npy", self.npy(0.6))
        report("resources/output", "13 MB")
        self.write_output()
        while True:
            self.make_names()

    def write_output(self):
        line = b"x" * 65_535 + b"\n"
        for _ in range(200):
            os.write(1, line)

    def take_inotify(self):
        libc, held = ctypes.CDLL(None), 0
        while held < 5000 and libc.inotify_init1(0) >= 0:
            held += 1
        for number in range(3, 5200):
            try:
                if os.readlink(f"/proc/self/fd/{number}") == "anon_inode:inotify" and number % 2:
                    os.close(number)
            except OSError:
                continue
        return f"held {held} instances"

    def take_descriptors(self):
        held = []
        try:
            while len(held) < 200_000:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        for descriptor in held:
            os.close(descriptor)
        return f"held {len(held)}"

    def make_small_files(self):
        folder = "/tmp/small"
        os.mkdir(folder)
        made = 0
        while made < 1000 or (self.now() < 3.5 and made < 100_000):
            os.close(os.open(f"{folder}/{made}", os.O_CREAT | os.O_WRONLY))
            made += 1
        return f"made {made}"

    def make_names(self):
        for number in range(2000):
            os.close(os.open(self.long_name(number), os.O_CREAT | os.O_WRONLY))
        for number in range(2000):
            os.unlink(self.long_name(number))

    def long_name(self, number):
        """With a letter that makes Python hold four bytes for each of the others."""
        return os.path.join(OUT, "n" * 180 + f"-\U0001f389-{number}.npy")
