"""Ends as the supervisor ends when the platform is at fault, and says so wherever it can write."""

import os
import sys

from kit import Attacker


class Model(Attacker):
    def attack(self):
        self.save("one.npy", self.npy(0.5))
        for line in (
            '{"cause": "StageFailed", "message": "the store is away"}',
            "alcove: the recorder was lost; this is the platform's fault.",
            '{"go_at": null, "end": null, "error": "no space left"}',
        ):
            print(line, file=sys.stderr, flush=True)
            try:
                with open("/dev/termination-log", "w") as file:
                    file.write(line)
            except OSError:
                pass
        os._exit(20)
