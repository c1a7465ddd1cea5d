"""Open X-Embodiment: what each dataset of OpenVLA's selection means by its numbers.

The facts are those of OpenVLA (prismatic/vla/datasets/rlds/oxe/{configs,transforms,mixtures}.py), of the datasets' own
descriptions (docs/catalog of tensorflow/datasets) and, for the control rates, of the overview table of Open
X-Embodiment. Where OpenVLA and a dataset's description contradict each other, the row says so in its notes.
"""

from __future__ import annotations

from typing import Final

from pvla.datasets.convert.oxe.bridge import ROWS as BRIDGE
from pvla.datasets.convert.oxe.flat import ROWS as FLAT
from pvla.datasets.convert.oxe.packed import ROWS as PACKED
from pvla.datasets.convert.oxe.row import Cameras, OxeRow, Standardised

__all__ = ["ROWS", "Cameras", "OxeRow", "Standardised", "row_for"]

ROWS: Final = (*BRIDGE, *PACKED, *FLAT)
_BY_NAME: Final = {name: row for row in ROWS for name in (row.name, *row.aliases)}


def row_for(dataset_name: str) -> OxeRow | None:
    """The row of a dataset by its name in `dataset_info.json`, or in OpenVLA's selection; None if there is none."""
    return _BY_NAME.get(dataset_name)
