from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pvla.documents import to_json


def test_json_is_strict_and_knows_arrays_and_paths() -> None:
    document = {
        "a": np.float32(0.5),
        "b": float("nan"),
        "c": np.arange(2),
        "d": Path("x"),
        "e": (True, None),
        3: "f",
    }
    assert json.loads(to_json(document)) == {
        "a": 0.5,
        "b": None,
        "c": [0, 1],
        "d": "x",
        "e": [True, None],
        "3": "f",
    }
