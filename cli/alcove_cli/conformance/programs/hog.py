"""Takes all the processor time and all the disk it gets until it is ended."""

import os
import threading

from kit import Attacker


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        for _ in range(4):
            if not os.fork():
                while True:
                    pass
        threading.Thread(target=self.write, daemon=True).start()
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
