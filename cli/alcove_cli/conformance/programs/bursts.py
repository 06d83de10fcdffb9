"""Takes more than its share of a processor in short bursts, until the kernel throttles one of them."""

import time

from kit import BUDGET, Attacker, report

STATISTICS = ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat")
"""Of the container's control group, version 2 and 1."""
BURST, REST = 0.06, 0.1
"""Seconds of processor time at a time, and between two: no 100 ms, the kernel's period, hold more than one burst."""


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        path = next((path for path in STATISTICS if "nr_throttled" in self.read(path)), None)
        report("resources/throttled", self.find_throttling(path) if path else "no statistics are shown")

    def find_throttling(self, path):
        before = now = self.read(path)
        while now["nr_throttled"] == before["nr_throttled"] and self.now() < BUDGET - 5:
            end = time.process_time() + BURST
            while time.process_time() < end:
                pass
            time.sleep(REST)
            now = self.read(path)
        throttled, periods = (now[name] - before[name] for name in ("nr_throttled", "nr_periods"))
        return f"{throttled} of {periods} periods"

    def read(self, path):
        try:
            with open(path) as file:
                return {name: int(value) for name, value in map(str.split, file)}
        except OSError:
            return {}
