"""Participants' programs for the end-to-end tests: each behaves, or misbehaves, in one way.

All are NumPy models, so that nothing but what is tested takes time.
"""

from __future__ import annotations

from textwrap import dedent

from tests.demo.hackathon import REPOSITORY

_HEAD = """
import os
import sys
import time

import numpy as np


class Base:
    framework = "numpy"

    def __init__(self, metadata):
        self.metadata = metadata
        self.started = time.monotonic()
        self.done_training = False
        self.saved = 0

    def train(self, dataset, remaining_time_budget=None):
        pass

    def predict(self):
        size = self.rows, self.metadata.get_output_size()
        return np.random.default_rng(self.saved).random(size)

    def count(self, dataset):
        if not hasattr(self, "rows"):
            self.rows = sum(1 for _ in dataset)
        self.saved += 1


"""


def _model(body: str) -> str:
    return dedent(_HEAD).lstrip() + dedent(body).lstrip()


def _predict_each_second(times: int) -> str:
    return _model(f"""
class Model(Base):
    def test(self, dataset, remaining_time_budget=None):
        self.count(dataset)
        time.sleep(max(0.0, self.started + self.saved - time.monotonic()))
        if self.saved == {times}:
            self.done_training = True
        return self.predict()
""")


# Predicts at 1, 2, 3 and 4 s after its constructor ran, then ends.
SCHEDULED = _predict_each_second(4)

# The same for 15 s: time enough to be stopped.
LASTS = _predict_each_second(15)

# Tries to make, to overwrite and to delete a file of its dataset, and says how that fails; then as SCHEDULED.
WRITES_ITS_DATA = _model("""
import errno
import pathlib


def attempt(change, *arguments):
    try:
        change(*arguments)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]


class Model(Base):
    def __init__(self, metadata):
        super().__init__(metadata)
        test = pathlib.Path(os.environ["ALCOVE_DATA"], "test")
        sample = next(test.glob("sample*"))
        new = attempt((test / "mine").write_bytes, b"x")
        print("data:", new, attempt(open, sample, "r+b"), attempt(sample.unlink), flush=True)

    def test(self, dataset, remaining_time_budget=None):
        self.count(dataset)
        if self.saved == 4:
            self.done_training = True
        return self.predict()
""")

# The example that learns from any kind of dataset; and the same the other way round, so that it is worse than chance.
LEARNS = (REPOSITORY / "examples" / "submissions" / "numpy" / "model.py").read_text()
UNLEARNS = f"""{LEARNS}

class Model(Model):
    def test(self, dataset, remaining_time_budget=None):
        return 1 - super().test(dataset, remaining_time_budget)
"""

NEVER_STOPS = _model("""
import signal
import subprocess


class Model(Base):
    def __init__(self, metadata):
        super().__init__(metadata)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    time.sleep(1)
            os._exit(0)

    def test(self, dataset, remaining_time_budget=None):
        self.count(dataset)
        if self.saved > 3:
            while True:
                time.sleep(1)
        return self.predict()
""")

CRASHES = _model("""
class Model(Base):
    def test(self, dataset, remaining_time_budget=None):
        self.count(dataset)
        if self.saved == 3:
            raise RuntimeError("the third prediction went wrong")
        return self.predict()
""")

# Predicts once a second for as long as the budget lasts.
STEADY = _model("""
class Model(Base):
    def test(self, dataset, remaining_time_budget=None):
        self.count(dataset)
        time.sleep(max(0.0, self.started + self.saved - time.monotonic()))
        return self.predict()
""")

_LEARNER = """
class Learner(Base):
    # Least squares on all examples: good within a second. Two predictions, then it ends.
    def train(self, dataset, remaining_time_budget=None):
        if self.saved == 0:
            x, y = zip(*((np.asarray(f, np.float64).ravel(), l) for f, l in dataset))
            x, y = np.stack(x), np.stack(y)
            self.weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y)

    def test(self, dataset, remaining_time_budget=None):
        x = np.stack([np.asarray(f, np.float64).ravel() for f, _ in dataset])
        self.saved += 1
        time.sleep(max(0.0, self.started + self.saved - time.monotonic()))
        self.done_training = self.saved == 2
        return self.shaped(x @ self.weights)


"""

# Orders the examples well, and never says yes: worthless by balanced accuracy, good by the area under the ROC curve.
SHY = _model(_LEARNER) + dedent("""
class Model(Learner):
    def shaped(self, scores):
        return 0.4 * (scores - scores.min()) / (scores.max() - scores.min())
""")

# Says yes or no, and is right on two of three: fair by both.
BOLD = _model(_LEARNER) + dedent("""
class Model(Learner):
    def shaped(self, scores):
        said = scores >= scores.max(axis=1, keepdims=True)
        wrong = np.random.default_rng(3).random(len(said)) < 0.35
        said[wrong] = np.roll(said[wrong], 1, axis=1)
        return said.astype(np.float32)
""")

# Right on all but ``share`` of the examples that it could be; which ones, the seed decides.
_SEEDED = _model(_LEARNER) + dedent("""
class Model(Learner):
    def shaped(self, scores):
        said = scores >= scores.max(axis=1, keepdims=True)
        rng = np.random.default_rng([int(os.environ["ALCOVE_SEED"]), self.saved])
        wrong = rng.random(len(said)) < SHARE
        said[wrong] = np.roll(said[wrong], 1, axis=1)
        return said.astype(np.float32)
""")


def seeded(share: float) -> str:
    """Two predictions whose errors differ from repeat to repeat, by ``ALCOVE_SEED`` alone."""
    return f"{_SEEDED}\n\nSHARE = {share}\n"


SLEEPS = _model("""
class Model(Base):
    def test(self, dataset, remaining_time_budget=None):
        time.sleep(3600)
""")

SYNTAX_ERROR = "class Model\n    pass\n"
