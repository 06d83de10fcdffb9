"""Does not stop at the budget: ignores every signal, leaves daemons of its own, and goes on writing."""

import os
import signal
import subprocess
import sys
import time

from kit import OUT, Attacker

DAEMON = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
data, out, number = open(sys.argv[1], "rb").read(), sys.argv[2], 0
while True:
    number += 1
    hidden = os.path.join(out, ".%d" % os.getpid())
    with open(hidden, "wb") as file:
        file.write(data)
    os.rename(hidden, os.path.join(out, "late-%s-%04d.npy" % (sys.argv[3], number % 10000)))
    time.sleep(0.1)
"""


class Model(Attacker):
    def attack(self):
        for number in range(1, 64):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_IGN)
        data = "/tmp/late"
        with open(data, "wb") as file:
            file.write(self.npy(0.5))
        for name in ("child", "daemon"):
            if name == "daemon" and os.fork():
                continue
            if name == "daemon":
                os.setsid()
            subprocess.Popen([sys.executable, "-c", DAEMON, data, OUT, name], start_new_session=True)
            if name == "daemon":
                os._exit(0)
        stopped = os.fork()
        if not stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        while True:
            time.sleep(1)
