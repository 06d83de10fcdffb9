"""The dataset format: examples of any kind in TFRecord files, as the AutoDL challenge lays them out."""
