"""A small PyTorch network on any kind of dataset: from few examples first, then from all, again and again."""

import numpy as np
import torch
from torch import nn

from alcove_baselines import vectorize

FIRST = 300
"""Training examples of the first round; four times as many in each later one."""
PASSES = 8
"""Over the examples of a round."""
ROUNDS = 20
"""At most."""


class Model:
    framework = "torch"
    """Datasets as torch.utils.data.IterableDataset: (features, label) of one example at a time, as tensors."""

    def __init__(self, metadata):
        torch.manual_seed(0)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.metadata = metadata
        self.train_set = self.test_set = self.network = None
        self.count = FIRST
        self.rounds = 0
        self.done_training = False

    def train(self, dataset, remaining_time_budget=None):
        if self.train_set is None:
            self.train_set = Rows(dataset, self.metadata)
        x, y = self.train_set.take(self.count)
        if self.network is None:
            self.mean, self.scale = x.mean(dim=0), x.std(dim=0) + 1e-6
            self.network = layers(x.shape[1], y.shape[1]).to(self.device)
            self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=2e-3, weight_decay=1e-2)
        x, y = self.standardize(x), y.to(self.device)
        rate = y.mean(dim=0).clamp(1e-3, 1 - 1e-3)
        # Each label's positives and negatives weigh the same, as they do in the score.
        loss_of = nn.BCEWithLogitsLoss(weight=1 / (2 * (1 - rate)), pos_weight=(1 - rate) / rate)
        self.network.train()
        for _ in range(PASSES):
            for chosen in torch.randperm(len(x)).split(64):
                self.optimizer.zero_grad()
                loss_of(self.network(x[chosen]), y[chosen]).backward()
                self.optimizer.step()
        self.rounds += 1
        self.count *= 4

    def test(self, dataset, remaining_time_budget=None):
        if self.test_set is None:
            self.test_set = self.standardize(Rows(dataset, self.metadata).take(self.metadata.test_size)[0])
        self.network.eval()
        with torch.no_grad():
            prediction = torch.cat([self.network(part).sigmoid() for part in self.test_set.split(1024)])
        self.done_training = self.rounds >= ROUNDS
        return prediction.cpu().numpy()

    def standardize(self, x):
        return ((x - self.mean) / self.scale).to(self.device)


def layers(width, labels):
    return nn.Sequential(
        nn.Linear(width, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(128, labels),
    )  # fmt: skip


class Rows:
    """Each example as one vector, read as far as they are asked for."""

    def __init__(self, dataset, metadata):
        self.source, self.metadata = iter(dataset), metadata
        self.x, self.y = [], []

    def take(self, count):
        while len(self.x) < count and (found := next(self.source, None)) is not None:
            self.x.append(vectorize(found[0].numpy(), self.metadata))
            self.y.append(found[1].numpy())
        return torch.from_numpy(np.stack(self.x[:count])), torch.from_numpy(np.stack(self.y[:count]))
