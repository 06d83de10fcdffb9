"""Puts what it reads of hidden features wherever somebody outside might read it, then fails with it."""

import os

from kit import OUT, Attacker


class Model(Attacker):
    def test(self, dataset, remaining_time_budget=None):
        features, _ = next(iter(dataset))
        canary = "canary" + features.astype("float32").tobytes()[:24].hex()
        print(canary, flush=True)
        for name in (canary + ".npy", canary + ".predict"):
            with open(os.path.join(OUT, name), "wb") as file:
                file.write(canary.encode())
        try:
            with open("/dev/termination-log", "w") as file:
                file.write(canary)
        except OSError:
            pass
        self.save("good.npy", self.npy(0.5))
        raise RuntimeError(canary)

    def attack(self):
        pass
