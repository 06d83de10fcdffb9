"""Ships modules with the names of ours and of Python's own, and starts work before anybody asks for it."""

import os
import time

time.sleep(1.5)  # work at import

import numpy
from kit import Attacker, report


class Model(Attacker):
    def attack(self):
        report("time/shadowed", getattr(numpy, "PLANTED", "the installed one"))
        report("time/started-early", os.environ.get("PLANTED", "not run"))
        self.save("after-import.npy", self.npy(0.1))
