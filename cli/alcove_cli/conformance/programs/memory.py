"""Takes memory until there is none."""

import time

from kit import Attacker


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        time.sleep(0.5)
        hoard = []
        while True:
            hoard.append(b"x" * (16 << 20))
