"""Takes all the processor time and all the disk it gets until it is ended."""

import os
import threading
import time

from kit import Attacker, report


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        until = time.monotonic() + 15
        children = []
        for _ in range(4):
            children.append(os.fork())
            if not children[-1]:
                while time.monotonic() < until:
                    pass
                os._exit(0)
        threading.Thread(target=self.write, daemon=True).start()
        began = time.monotonic()
        while time.monotonic() < until:
            sum(range(1_000_000))
        for child in children:
            os.waitpid(child, 0)
        took = time.monotonic() - began
        report("resources/hog", f"{sum(os.times()[:4]) / took:.3f} processors")
        while True:
            sum(range(1_000_000))

    def write(self):
        piece = bytes(1 << 20)
        while True:
            with open("/tmp/hog", "wb") as file:
                for _ in range(60):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
