"""Models of PyTorch, with `torch`, in the environment of its image: the arrays of NumPy as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.integration.frameworks.conftest import Practice, RunCode, run_in

pytestmark = pytest.mark.integration

MODEL = '''
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from alcove_format.reader import open_dataset


class Model:
    """Of every dataset beside this one: the same arrays; then a network on the one that it is given."""

    def __init__(self, metadata):
        self.size = int(np.prod(metadata.array_shape))
        self.n_train, self.n_test = metadata.size(), metadata.test_size
        self.net = torch.nn.Linear(self.size, metadata.get_output_size())
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.01)
        self.done_training = False

    def compare(self, part):
        for given, (features, label) in zip(part.torch(), part, strict=True):
            np.testing.assert_array_equal(given[0].numpy(), features)
            np.testing.assert_array_equal(given[1].numpy(), label)
        for given, batch in zip(part.torch(16), part.batches(16), strict=True):
            np.testing.assert_array_equal(given[0].numpy(), batch[0])
        assert len(part.torch()) == len(part) and len(part.torch(16)) == -(-len(part) // 16)

    def train(self, dataset, remaining_time_budget=None):
        assert isinstance(dataset, IterableDataset)
        for folder in sorted(Path("DATASETS").glob("*/*.data")):
            self.compare(open_dataset(folder).test)
            print("the same:", folder.name)
        seen = 0
        for x, y in DataLoader(dataset, batch_size=16):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(self.net(x.flatten(1)), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            seen += len(x)
        assert seen == self.n_train

        # Two workers hand out each example once, and a shuffled pass has them all in another order.
        shared = torch.cat([x for x, _ in DataLoader(dataset, batch_size=8, num_workers=2)])
        whole = torch.stack([x for x, _ in dataset])
        assert sorted(x.sum().item() for x in shared) == sorted(x.sum().item() for x in whole)
        part = open_dataset(Path(dataset.part.path).parent).train
        drawn = torch.cat([x for x, _ in DataLoader(part.torch(shuffle=100), batch_size=8, num_workers=2)])
        assert sorted(x.sum().item() for x in drawn) == sorted(x.sum().item() for x in whole)
        assert not torch.equal(drawn, whole)

    def test(self, dataset, remaining_time_budget=None):
        self.done_training = True
        with torch.no_grad():
            scores = torch.cat([torch.sigmoid(self.net(x.flatten(1))) for x, _ in DataLoader(dataset, batch_size=16)])
        return scores  # A tensor is an array of numbers, too.
'''


@pytest.fixture
def run(tmp_path: Path) -> RunCode:
    return run_in("torch", tmp_path)


def test_its_tensors_are_the_arrays_of_numpy(run: RunCode, practice: Practice) -> None:
    kinds = ("characters", "docstrings", "digits", "moving-digits", "vowels")
    folders = [practice(name) for name in kinds]
    ended = run({"model.py": MODEL.replace("DATASETS", str(folders[0].parent))}, practice("digits"))
    assert ended.status == 0, ended.output
    for name in kinds:
        assert f"the same: {name}.data" in ended.output
    (prediction,) = ended.predictions
    array = np.load(prediction)
    assert array.shape[1] == 10
    assert ((array > 0) & (array < 1)).all()
