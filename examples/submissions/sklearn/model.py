"""Scikit-learn on any kind of dataset: random forests that grow, first on few examples, then on all.

``AnytimeClassifier`` turns each example into one vector and decides how much to learn from before the next
prediction. Any classifier with ``fit`` or ``partial_fit`` can take the forest's place.
"""

from sklearn.ensemble import ExtraTreesClassifier

from alcove_baselines import AnytimeClassifier


class Model(AnytimeClassifier):
    framework = "numpy"
    """Datasets as NumPy iterators: (features, label) of one example at a time."""

    def __init__(self, metadata):
        forest = ExtraTreesClassifier(
            10,
            min_samples_leaf=2,
            class_weight="balanced_subsample",
            max_features=0.2,
            random_state=0,
        )
        super().__init__(metadata, forest, first=300, grows="n_estimators", standardize=False)
