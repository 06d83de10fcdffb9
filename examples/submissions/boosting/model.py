"""Gradient boosting on any kind of dataset: few trees on few examples first, then more of both."""

from sklearn.ensemble import HistGradientBoostingClassifier

from alcove_baselines import AnytimeClassifier


class Model(AnytimeClassifier):
    framework = "numpy"
    """Datasets as NumPy iterators: (features, label) of one example at a time."""

    def __init__(self, metadata):
        boosting = HistGradientBoostingClassifier(
            max_iter=4,
            max_leaf_nodes=8,
            max_features=0.3,
            min_samples_leaf=5,
            early_stopping=False,
            random_state=0,
        )
        super().__init__(metadata, boosting, first=100, grows="max_iter", standardize=False)
