"""From a dataset to checkpoints: encoders, cached features, and the training stages in order.

`pvla.core` knows the models and losses, `pvla.datasets` the data; this package brings them together.
"""
