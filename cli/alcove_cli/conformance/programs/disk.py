"""Fills the disk with files, each within the limit of one."""

import os
import time

from kit import Attacker, report


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        time.sleep(6)  # for its upload: what the node loses with a pod was not recorded
        piece = os.urandom(1 << 20)
        for number in range(12):
            with open(f"/tmp/piece-{number}", "wb") as file:
                for _ in range(60):
                    file.write(piece)
        size = sum(os.path.getsize(f"/tmp/piece-{number}") for number in range(12))
        report("resources/full-disk", f"{size >> 20} MiB are written")
        while True:
            time.sleep(1)
