"""Gradient boosting for datasets with numbers to predict: few trees on few examples first, then more of both."""

from sklearn.ensemble import HistGradientBoostingRegressor

from alcove_baselines import AnytimeRegressor


class Model(AnytimeRegressor):
    framework = "numpy"
    """Datasets as NumPy iterators: (features, numbers) of one example at a time."""

    def __init__(self, metadata):
        boosting = HistGradientBoostingRegressor(
            max_iter=40, max_leaf_nodes=16, early_stopping=False, random_state=0
        )
        super().__init__(metadata, boosting, first=100, grows="max_iter", standardize=False)
