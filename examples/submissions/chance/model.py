"""Chance: predicts at random, a few times. What any learner must beat."""

import time

import numpy as np


class Model:
    framework = "numpy"
    """Datasets as NumPy iterators: this model needs no TensorFlow."""

    predictions = 5
    pause = 2.0
    """Seconds between two predictions."""

    def __init__(self, metadata):
        self.shape = (metadata.test_size, metadata.get_output_size())
        self.random = np.random.default_rng(0)
        self.tests = 0
        self.done_training = False

    def train(self, dataset, remaining_time_budget=None):
        """Learns nothing. Waits, so that there are several points on the curve."""
        if self.tests:
            left = remaining_time_budget if remaining_time_budget is not None else self.pause
            time.sleep(max(0.0, min(self.pause, left / 2)))

    def test(self, dataset, remaining_time_budget=None):
        self.tests += 1
        self.done_training = self.tests >= self.predictions
        return self.random.random(self.shape)
