"""Tries to have a prediction counted earlier than it was there, or a later one in place of an earlier one."""

import mmap
import os
import time

from kit import OUT, Attacker, attempt


class Model(Attacker):
    def attack(self):
        self.save("first.npy", self.npy(0.01))
        self.backdate()
        self.write_in_place()
        self.improve("mapped.npy", self.through_a_mapping)
        self.improve("open.npy", self.through_a_descriptor)
        self.improve("replaced.npy", self.by_another_file)
        self.improve("linked.npy", self.through_a_hard_link)
        self.save(".hidden.npy", self.npy(0.02))
        self.save("notes.txt", self.npy(0.03))
        attempt("time/clock", time.clock_settime, time.CLOCK_REALTIME, 0)
        attempt("time/replace-folder", os.rename, OUT, OUT + ".old")
        self.save("last.npy", self.npy(0.04))

    def backdate(self):
        for name, when in (("past.npy", 1), ("future.npy", 4_000_000_000)):
            data = self.npy(0.1 if when == 1 else 0.11)
            self.tell_written(name, data)
            hidden = os.path.join(OUT, "." + name)
            with open(hidden, "wb") as file:
                file.write(data)
            os.utime(hidden, (when, when))
            os.rename(hidden, os.path.join(OUT, name))

    def write_in_place(self):
        data = self.npy(0.2)
        with open(os.path.join(OUT, "slow.npy"), "wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(0.5)
            self.tell_written("slow.npy", data)
            file.write(data[len(data) // 2 :])

    def improve(self, name, change):
        """Puts a weak prediction there and, once the recorder had the time to see it, changes it to a strong one."""
        weak, strong = self.npy(0.3), self.npy(0.9)
        hidden = os.path.join(OUT, "." + name)
        with open(hidden, "wb") as file:
            file.write(weak)
        descriptor = os.open(hidden, os.O_RDWR)
        mapping = mmap.mmap(descriptor, len(weak))
        if change == self.through_a_hard_link:
            os.link(hidden, os.path.join(OUT, ".twin"))
        self.tell_written(name, weak)
        os.rename(hidden, os.path.join(OUT, name))
        time.sleep(0.3)
        self.tell_written(name, strong)
        change(name, descriptor, mapping, strong)
        time.sleep(0.1)
        mapping.close()
        os.close(descriptor)

    def through_a_mapping(self, name, descriptor, mapping, strong):
        mapping[:] = strong

    def through_a_descriptor(self, name, descriptor, mapping, strong):
        os.pwrite(descriptor, strong, 0)

    def by_another_file(self, name, descriptor, mapping, strong):
        with open(os.path.join(OUT, ".better"), "wb") as file:
            file.write(strong)
        os.rename(os.path.join(OUT, ".better"), os.path.join(OUT, name))

    def through_a_hard_link(self, name, descriptor, mapping, strong):
        with open(os.path.join(OUT, ".twin"), "r+b") as file:
            file.write(strong)
