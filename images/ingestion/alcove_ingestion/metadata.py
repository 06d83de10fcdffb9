"""What ``Model(metadata)`` is given: the interface of the AutoDL starting kit over our metadata."""

# ruff: noqa: ARG002 — bundle_index is part of that interface; a dataset has one matrix a step, so it is always 0.

from __future__ import annotations

from alcove_api.schemes import Task
from alcove_format.format_pb2 import DataSpecification
from alcove_format.metadata import Domain, Format, Metadata
from alcove_format.reader import Part


class ModelMetadata:
    """Describes the dataset that the model is to learn. Sizes are −1 where they vary between examples.

    ``size``, ``metadata_`` and the ``get_…`` methods are those of the AutoDL challenge's public starting kit, which
    describes the train part; ``test_size``, ``array_shape``, ``domain``, ``task``, ``vocabulary_size`` and ``rate``
    are ours.
    """

    def __init__(self, train: Part, test: Part) -> None:
        self._path = train.path
        self._metadata: Metadata = train.metadata
        self._test_size = test.metadata.n_examples

    @property
    def test_size(self) -> int:
        """Number of test examples: rows of a prediction."""
        return self._test_size

    @property
    def array_shape(self) -> tuple[int, int, int, int]:
        """Time × rows × columns × channels of one example, as ``train`` and ``test`` hand it out."""
        return self._metadata.shape

    @property
    def domain(self) -> Domain:
        """``tabular``, ``series``, ``speech``, ``text``, ``image`` or ``video``: as stated, or told by the shape."""
        return self._metadata.domain

    @property
    def task(self) -> Task | None:
        """``multiclass``, ``multilabel`` or ``regression``; None where the dataset does not say, and has labels."""
        return self._metadata.stated_task

    @property
    def vocabulary_size(self) -> int:
        """Of a text: its tokens are numbered from 0 to one less. 0 where the data is no text."""
        return self._metadata.vocabulary_size

    @property
    def rate(self) -> float:
        """Steps a second: samples of sound, frames of a clip. 0 where the dataset does not say."""
        return self._metadata.rate

    @property
    def is_sequence(self) -> bool:
        return self._metadata.is_sequence

    def get_dataset_name(self) -> str:
        """Folder of the train part, as in the starting kit; that of the test part lies beside it."""
        return str(self._path)

    @property
    def metadata_(self) -> DataSpecification:
        """The message of ``metadata.textproto``, with the field names of the starting kit."""
        return self._metadata.to_message()

    def size(self) -> int:
        """Number of training examples; see :attr:`test_size`."""
        return self._metadata.n_examples

    def get_output_size(self) -> int:
        """Number of labels, or of numbers to predict: columns of a prediction."""
        return self._metadata.n_labels

    def get_bundle_size(self) -> int:
        return 1

    def get_sequence_size(self) -> int:
        return self._metadata.sequence_size

    def get_matrix_size(self, bundle_index: int = 0) -> tuple[int, int]:
        """Rows and columns."""
        return self._metadata.rows, self._metadata.cols

    def get_num_channels(self, bundle_index: int = 0) -> int:
        """Channels; in sparse text the size of the vocabulary, of which an example holds token numbers."""
        return self._metadata.frame_channels

    def get_tensor_size(self, bundle_index: int = 0) -> tuple[int, int, int]:
        return self._metadata.rows, self._metadata.cols, self._metadata.frame_channels

    def get_tensor_shape(self, bundle_index: int = 0) -> tuple[int, int, int, int]:
        return self._metadata.sequence_size, *self.get_tensor_size()

    def is_compressed(self, bundle_index: int = 0) -> bool:
        return self._metadata.format is Format.COMPRESSED

    def is_sparse(self, bundle_index: int = 0) -> bool:
        return self._metadata.format is Format.SPARSE

    def get_label_to_index_map(self) -> dict[str, int]:
        return dict(self._metadata.labels)

    def get_channel_to_index_map(self) -> dict[str, int]:
        return dict(self._metadata.channel_names)

    def get_feature_to_index_map(self) -> dict[str, int]:
        return dict(self._metadata.features)
