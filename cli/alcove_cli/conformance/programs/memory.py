"""Takes memory of three times the limit, and says so if it gets it."""

import time

from kit import Attacker, report


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        time.sleep(0.5)
        hoard = []
        for _ in range(75):
            hoard.append(b"x" * (16 << 20))
        report("resources/memory-bomb", f"{16 * len(hoard)} MiB are held")
        while True:
            time.sleep(1)
