"""RLDS: TFRecord files of TensorFlow Datasets, without TensorFlow."""
