"""What the attacks share. It is handed in beside each of them, and so runs as a participant's code does."""

import errno
import hashlib
import io
import os
import time

import numpy as np

OUT = os.environ["ALCOVE_OUT"]
BUDGET = float(os.environ["ALCOVE_BUDGET"])


class Attacker:
    """A model whose ``train`` attacks, once; then it is done. ``self.shape`` is that of a prediction."""

    framework = "numpy"

    def __init__(self, metadata):
        self.shape = metadata.test_size, metadata.get_output_size()
        self.began = 0.0

    def train(self, dataset, remaining_time_budget=None):
        # Later than the go by nothing but this call, so no time that is told here is too late.
        self.began = time.monotonic() - (BUDGET - remaining_time_budget)
        self.attack()

    def test(self, dataset, remaining_time_budget=None):
        return None

    def now(self):
        """Seconds since the go."""
        return time.monotonic() - self.began

    def sleep_until(self, moment):
        time.sleep(max(0.0, moment - self.now()))

    def npy(self, value):
        """A valid prediction that is ``value`` everywhere."""
        file = io.BytesIO()
        np.save(file, np.full(self.shape, value, np.float32))
        return file.getvalue()

    def save(self, name, data):
        """As a participant should: under a hidden name, then renamed. Tells when it began to be there."""
        self.tell_written(name, data)
        hidden = os.path.join(OUT, "." + name + ".tmp")
        with open(hidden, "wb") as file:
            file.write(data)
        os.rename(hidden, os.path.join(OUT, name))

    def tell_written(self, name, data):
        """To be called right before the file of that name comes to hold ``data``."""
        print("WROTE", name, hashlib.sha256(data).hexdigest(), f"{self.now():.6f}", flush=True)


def report(case, said):
    """One line of the run's output: what came of a case."""
    print("ATTACK", case, " ".join(str(said).split())[:300], flush=True)


def attempt(case, act, *arguments):
    """Reports the error's name, or "done" with what came back."""
    try:
        said = f"done {act(*arguments)}"
    except OSError as error:
        said = errno.errorcode.get(error.errno, repr(error)) if error.errno else repr(error)
    except Exception as error:
        said = type(error).__name__
    report(case, said)


def call(number, *arguments):
    """A system call by its number; raises OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
