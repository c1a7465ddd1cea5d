"""The torch-free runtime: a verified bundle of ONNX graphs, a policy, a real-time loop, a safety filter, a recorder."""
