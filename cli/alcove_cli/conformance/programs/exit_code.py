"""Says what it reads of hidden features by the status that it ends with, and by how many predictions it saves."""

import os

from kit import Attacker


class Model(Attacker):
    def test(self, dataset, remaining_time_budget=None):
        for number in range(7):
            self.save(f"bit-{number}.npy", self.npy(number / 10))
        os._exit(77)

    def attack(self):
        pass
