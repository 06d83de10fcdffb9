"""Hides small predictions behind a heap of large ones until the budget is over, to have the last ones stamped early."""

import os

from kit import BUDGET, OUT, Attacker


class Model(Attacker):
    def attack(self):
        self.sleep_until(BUDGET - 1.5)  # so few that a slow store has them all soon after the end
        large = bytes(8 * self.shape[0] * self.shape[1])
        number = 0
        while True:
            number += 1
            for decoy in range(8):
                path = os.path.join(OUT, ".decoy")
                with open(path, "wb") as file:
                    file.write(large)
                os.rename(path, os.path.join(OUT, f"decoy-{decoy}.npy"))
            if number % 10 == 1:
                self.save("behind.npy", self.npy((number % 1000) / 1000))
