"""Videos, charts and contact sheets (PyAV and Pillow, no torch, no matplotlib)."""
