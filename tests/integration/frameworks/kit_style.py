"""Models in the style of the AutoDL challenge: written for TensorFlow 1.13, with nothing that knows of Alcove.

Each ends by itself after a few steps, and asks of its data what such code takes for granted.
"""

from __future__ import annotations

SESSION = '''
import numpy as np
import tensorflow as tf
from algorithm import Algorithm
from tensorflow import logging

tf.logging.set_verbosity(tf.logging.ERROR)


class Model(Algorithm):
    """A linear model in a graph and a session of its own, fed by one-shot iterators."""

    def __init__(self, metadata):
        super(Model, self).__init__(metadata)
        shape = metadata.get_tensor_shape()
        self.classes = metadata.get_output_size()
        self.batch = 16
        with tf.Graph().as_default() as self.graph:
            self.x = tf.placeholder(tf.float32, [None, int(np.prod(shape))])
            self.y = tf.placeholder(tf.float32, [None, self.classes])
            weights = tf.get_variable("w", [self.x.shape[1], self.classes],
                                      initializer=tf.contrib.layers.xavier_initializer())
            logits = tf.matmul(self.x, weights)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=self.y, logits=logits))
            self.step = tf.train.AdamOptimizer(0.01).minimize(loss)
            self.scores = tf.nn.sigmoid(logits)
            self.session = tf.Session()
            self.session.run(tf.global_variables_initializer())

    def read(self, dataset):
        iterator = dataset.batch(self.batch).make_one_shot_iterator()
        following = iterator.get_next()
        with tf.Session() as session:
            while True:
                try:
                    yield session.run(following)
                except tf.errors.OutOfRangeError:
                    return

    def train(self, dataset, remaining_time_budget=None):
        assert dataset.output_types == (tf.float32, tf.float32), dataset.output_types
        seen = 0
        for x, y in self.read(dataset):
            self.session.run(self.step, {self.x: x.reshape(len(x), -1), self.y: y})
            seen += len(x)
        assert seen == self.metadata_.size() and y.max() == 1, seen

    def test(self, dataset, remaining_time_budget=None):
        self.done_training = hasattr(self, "trained")
        self.trained = True
        return np.concatenate([self.session.run(self.scores, {self.x: x.reshape(len(x), -1)})
                               for x, _ in self.read(dataset)])
'''

ESTIMATOR = '''
import numpy as np
import tensorflow as tf


class Model(object):
    """An estimator, whose every call makes a graph of its own: the dataset has to come along."""

    def __init__(self, metadata):
        self.done_training = False
        self.classes = metadata.get_output_size()
        self.estimator = tf.estimator.Estimator(self.network)

    def network(self, features, labels, mode):
        hidden = tf.layers.dense(tf.layers.flatten(features), 16, activation=tf.nn.relu)
        hidden = tf.layers.dropout(hidden, 0.1, training=mode == tf.estimator.ModeKeys.TRAIN)
        logits = tf.layers.dense(hidden, self.classes)
        if mode == tf.estimator.ModeKeys.PREDICT:
            return tf.estimator.EstimatorSpec(mode, predictions={"scores": tf.sigmoid(logits)})
        loss = tf.losses.sigmoid_cross_entropy(labels, logits)
        step = tf.train.GradientDescentOptimizer(0.1).minimize(loss, tf.train.get_or_create_global_step())
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=step)

    def resize(self, example):
        frames = tf.image.resize_images(example, (8, 8))
        return tf.reshape(frames[:1], (8, 8, 1))

    def read(self, dataset, training):
        dataset = dataset.map(lambda example, labels: (self.resize(example), labels))
        if training:
            dataset = dataset.shuffle(32).repeat()
        return dataset.batch(8)

    def train(self, dataset, remaining_time_budget=None):
        self.estimator.train(lambda: self.read(dataset, True), steps=3)

    def test(self, dataset, remaining_time_budget=None):
        self.done_training = self.estimator.get_variable_value("global_step") >= 6
        found = self.estimator.predict(lambda: self.read(dataset, False).make_one_shot_iterator().get_next())
        return np.array([one["scores"] for one in found])
'''

TORCH = '''
import numpy as np
import tensorflow as tf
import torch
import torchvision
from torch.utils import model_zoo
from torchvision.models.densenet import model_urls as more
from torchvision.models.squeezenet import SqueezeNet, model_urls


class Model(object):
    """A network of PyTorch that TensorFlow's dataset feeds, and the test set's size from its file."""

    def __init__(self, metadata):
        self.done_training = False
        folder = metadata.get_dataset_name().replace("train", "test")
        lines = open(folder + "/metadata.textproto").readlines()[:3]
        self.n_test = [int(line.split(":")[1]) for line in lines if "sample_count" in line][0]
        # The file that the submission brings, by the name that it had when the code was written.
        torch.save(SqueezeNet("1_1").state_dict(), "squeezenet1_1-f364aa15.pth")
        weights = model_zoo.load_url(model_urls["squeezenet1_1"], model_dir=".")
        assert more["densenet121"].endswith("/densenet121-a639ec97.pth"), more
        self.net = SqueezeNet("1_1")
        self.net.load_state_dict(weights)
        self.net.classifier[1] = torch.nn.Conv2d(512, metadata.get_output_size(), 1)
        self.loss = torch.nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.session = tf.Session()

    def read(self, dataset):
        following = dataset.make_one_shot_iterator().get_next()
        while True:
            try:
                example, label = self.session.run(following)
            except tf.errors.OutOfRangeError:
                return
            image = torch.from_numpy(example[0]).permute(2, 0, 1).expand(3, -1, -1)
            yield torch.nn.functional.interpolate(image[None], (32, 32)), torch.from_numpy(label)[None]

    def train(self, dataset, remaining_time_budget=None):
        for _, (x, y) in zip(range(8), self.read(dataset)):
            self.optimizer.zero_grad()
            self.loss(self.net(x), y).backward()
            self.optimizer.step()

    def test(self, dataset, remaining_time_budget=None):
        self.done_training = True
        self.net.eval()
        with torch.no_grad():
            found = np.concatenate([torch.sigmoid(self.net(x)).numpy() for x, _ in self.read(dataset)])
        assert len(found) == self.n_test
        return found
'''

COMPARES_READERS = '''
from pathlib import Path

import librosa.display
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from dataset import AutoDLDataset
from keras.backend.tensorflow_backend import set_session
from keras.layers.normalization import BatchNormalization
from tensorflow.contrib.rnn import BasicLSTMCell
from tensorflow.python.keras.layers.normalization import BatchNormalization as another
from tensorflow.python.keras.preprocessing import sequence

from alcove_format.reader import open_dataset


class Model(object):
    """In nobody's style: asks whether TensorFlow 1 gives the arrays that NumPy gives, of every dataset beside this."""

    def __init__(self, metadata):
        self.done_training = False
        assert sequence.pad_sequences([[1], [2, 3]], maxlen=2).tolist() == [[0, 1], [2, 3]]
        set_session(tf.Session())
        try:
            tf.contrib.layers.embed_sequence
        except AttributeError as error:
            assert "of it this image has" in str(error) and "xavier_initializer" in str(error), error

    def compare(self, part):
        again = AutoDLDataset(str(part.path))
        assert again.get_metadata().size() == len(part)
        with tf.Graph().as_default(), tf.Session() as session:
            following = again.get_dataset().make_one_shot_iterator().get_next()
            for features, label in part:
                x, y = session.run(following)
                if part.metadata.format == "SPARSE" and not part.metadata.is_token_sequence:
                    x, pairs = np.zeros_like(features), x
                    assert pairs.shape == (1, len(pairs[0]), 2, 1) and pairs.dtype == np.float32, pairs.shape
                    x[0, 0, pairs[0, :, 0, 0].astype(int), 0] = pairs[0, :, 1, 0]
                np.testing.assert_array_equal(x, features)
                np.testing.assert_array_equal(y, label)
            try:
                session.run(following)
                raise AssertionError("TensorFlow has more examples")
            except tf.errors.OutOfRangeError:
                pass

    def train(self, dataset, remaining_time_budget=None):
        for folder in sorted(Path("DATASETS").glob("*/*.data")):
            for part in (open_dataset(folder).train, open_dataset(folder).test):
                self.compare(part)
            print("the same:", folder.name)

    def test(self, dataset, remaining_time_budget=None):
        self.done_training = True
'''
