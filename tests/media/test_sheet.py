from __future__ import annotations

import numpy as np
import pytest

from pvla.media import style
from pvla.media.sheet import contact_sheet, fitted


def plain(colour, height=30, width=40):
    return np.full((height, width, 3), colour, np.uint8)


def test_pictures_lie_in_rows_in_order():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (0, 200, 200)]
    sheet = np.asarray(contact_sheet([plain(c) for c in colours], list("abcde"), columns=3, cell_width=40))
    rows = [12 + 15, 12 + 15 + 30 + 22 + 12]
    for number, colour in enumerate(colours):
        row, column = divmod(number, 3)
        assert tuple(sheet[rows[row], 12 + 20 + column * 52]) == colour


def test_pictures_of_other_sizes_and_a_title_fit():
    sheet = contact_sheet([plain((9, 9, 9), 20, 80), plain((9, 9, 9), 80, 20)], ["a", "b"], 2, title="both")
    assert sheet.width == 12 + 2 * 212
    assert sheet.height >= 800


def test_captions_are_cut_to_their_cells():
    long = "a very long caption that does not fit"
    assert style.text_width(fitted(long, 100, 13), 13) <= 100
    assert fitted("short", 100, 13) == "short"


def test_captions_must_match():
    with pytest.raises(ValueError, match="2 frames with 1 captions"):
        contact_sheet([plain(0), plain(0)], ["a"], 2)
