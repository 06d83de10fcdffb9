"""A small TensorFlow network that trains a little between predictions, on any kind of dataset."""

import time

import numpy as np
import tensorflow as tf

BATCH = 64
STEPS_AT_LEAST = 20
"""Of training before a prediction; the first one takes long, since it is compiled."""
STEPS_AT_MOST = 128
"""Time steps at most: longer sequences are cut, shorter ones padded."""
WINDOW = 256
"""Samples of sound that become one time step: their spectrum."""
SIDE_AT_MOST = 64
"""Rows and columns at most: larger frames are made smaller."""


class Model:
    framework = "tensorflow"
    """Datasets as tf.data pipelines of (features, label)."""

    def __init__(self, metadata):
        self.metadata = metadata
        self.network = None
        self.seconds = 1.0
        """How long to train before the next prediction: longer each time, since early predictions count most."""
        self.test_set = None
        self.done_training = False
        self.tests = 0

    def train(self, dataset, remaining_time_budget=None):
        started = time.monotonic()
        left = np.inf if remaining_time_budget is None else remaining_time_budget
        if self.network is None:
            self.train_set = in_memory(dataset, self.metadata)
            self.network = Network(self.train_set[0], self.train_set[1], self.metadata)
        x, y = self.train_set
        deadline = started + min(self.seconds, left / 2)
        steps = 0
        while steps < STEPS_AT_LEAST or time.monotonic() < deadline:
            self.network.step(x, y)
            steps += 1
        self.seconds *= 1.3

    def test(self, dataset, remaining_time_budget=None):
        if self.test_set is None:
            self.test_set = in_memory(dataset, self.metadata)[0]
        started = time.monotonic()
        prediction = self.network.predict(self.test_set)
        took = time.monotonic() - started
        self.tests += 1
        self.done_training = self.tests >= 30 or (
            remaining_time_budget is not None and remaining_time_budget - took < 2 * took + 1.0
        )
        return prediction


class Network:
    """Layers, optimizer and compiled steps."""

    def __init__(self, x, y, metadata):
        self.random = np.random.default_rng(0)
        tf.keras.utils.set_random_seed(0)
        self.base_rate = np.clip(y.mean(axis=0), 1e-3, 1 - 1e-3)
        self.layers = layers(metadata, y.shape[1])
        if metadata.domain != "text":
            self.layers.layers[0].adapt(x[:500])
        self.optimizer = tf.keras.optimizers.Adam(2e-3)
        # Each label's positives and negatives weigh the same, as they do in the score.
        self.positive = tf.constant((1 - self.base_rate) / self.base_rate, tf.float32)

    @tf.function(reduce_retracing=True)
    def _step(self, x, y):
        with tf.GradientTape() as tape:
            logits = self.layers(x, training=True)
            losses = tf.nn.weighted_cross_entropy_with_logits(y, logits, self.positive)
            loss = tf.reduce_mean(losses / (1 + self.positive))
        gradients = tape.gradient(loss, self.layers.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.layers.trainable_variables, strict=True))

    @tf.function(reduce_retracing=True)
    def _probabilities(self, x):
        return tf.sigmoid(self.layers(x, training=False))

    def step(self, x, y):
        chosen = self.random.integers(0, len(x), BATCH)
        self._step(x[chosen], y[chosen])

    def predict(self, x):
        size = 256
        batches = [self._probabilities(x[i : i + size]).numpy() for i in range(0, len(x), size)]
        return np.concatenate(batches)


def layers(metadata, labels):
    """A network whose shape follows that of the data: time × rows × columns × channels."""
    keras = tf.keras.layers
    if metadata.domain == "text":
        body = [keras.Embedding(metadata.vocabulary_size + 1, 32), keras.GlobalAveragePooling1D()]
    elif metadata.domain in ("series", "speech"):
        body = [
            keras.Normalization(),
            keras.Conv1D(24, 7, strides=2, activation="relu"),
            keras.Conv1D(32, 5, strides=2, activation="relu"),
            keras.GlobalMaxPooling1D(),
        ]
    elif metadata.domain == "tabular":
        body = [keras.Normalization(), keras.Flatten(), keras.Dense(128, activation="relu")]
    else:
        body = [
            keras.Normalization(axis=None),
            keras.Conv2D(24, 3, padding="same", activation="relu"),
            keras.MaxPooling2D(2, padding="same"),
            keras.Conv2D(32, 3, padding="same", activation="relu"),
            keras.MaxPooling2D(2, padding="same"),
            keras.Flatten(),
        ]
    return tf.keras.Sequential(
        [*body, keras.Dense(96, activation="relu"), keras.Dropout(0.2), keras.Dense(labels)]
    )


def in_memory(dataset, metadata):
    """The whole dataset as two arrays: inputs for the network, and labels."""
    dataset = dataset.map(lambda features, label: (shaped(features, metadata), label), num_parallel_calls=1)
    x, y = zip(*dataset.batch(256).as_numpy_iterator(), strict=True)
    return np.nan_to_num(np.concatenate(x)), np.concatenate(y)


def spectra(features):
    """Sound as its spectrum over time: windows × frequencies."""
    sound = tf.reduce_mean(features, axis=[1, 2, 3])
    power = tf.abs(tf.signal.stft(sound, WINDOW, WINDOW // 2, pad_end=True))
    return tf.math.log(power + 1e-3)


def shaped(features, metadata):
    """One example, in the form that the layers take."""
    if metadata.domain == "tabular":
        return tf.reshape(features, [-1])
    if metadata.domain in ("text", "series", "speech"):
        if metadata.domain == "speech":
            features = spectra(features)
        steps = tf.reshape(features, [tf.shape(features)[0], -1])[:STEPS_AT_MOST]
        if metadata.domain == "text":
            steps += 1  # 0 is padding
        steps = tf.pad(steps, [[0, STEPS_AT_MOST - tf.shape(steps)[0]], [0, 0]])
        _, rows, cols, channels = metadata.array_shape
        width = WINDOW // 2 + 1 if metadata.domain == "speech" else rows * cols * channels
        steps = tf.ensure_shape(steps, [STEPS_AT_MOST, width])
        return steps[:, 0] if metadata.domain == "text" else steps
    _, rows, cols, channels = metadata.array_shape
    if rows < 0 or cols < 0 or max(rows, cols) > SIDE_AT_MOST:
        rows = cols = SIDE_AT_MOST
        features = tf.image.resize(features, [rows, cols])
    # A few frames of a video become channels of one image.
    count = 1 if metadata.get_sequence_size() == 1 else 4
    chosen = tf.cast(tf.linspace(0.0, tf.cast(tf.shape(features)[0] - 1, tf.float32), count), tf.int32)
    frames = tf.transpose(tf.gather(features, chosen), [1, 2, 0, 3])
    return tf.reshape(frames, [rows, cols, count * channels])
