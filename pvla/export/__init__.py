"""Checkpoints → a bundle of ONNX graphs, verified against eager torch before it appears."""
