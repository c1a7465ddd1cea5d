from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvla.datasets.convert.rlds.example import Values, parse, serialize
from pvla.datasets.convert.source import Damaged

int64 = st.integers(-(2**63), 2**63 - 1)
values = st.one_of(
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1).map(lambda rows: np.array(rows, np.float32)),
    st.lists(int64, min_size=1).map(lambda rows: np.array(rows, np.int64)),
)


def same(a: Values, b: Values) -> bool:
    if isinstance(a, list) or isinstance(b, list):
        return isinstance(a, list) and isinstance(b, list) and a == b
    return a.dtype == b.dtype and np.array_equal(a, b)


@given(st.dictionaries(st.text(max_size=20), values, max_size=5))
def test_what_was_serialized_is_parsed(features: dict[str, Values]) -> None:
    parsed = parse(serialize(features))
    assert list(parsed) == list(features)
    assert all(same(parsed[name], features[name]) for name in features)


def test_a_message_as_protocol_buffers_write_it() -> None:
    # Example{features{feature{key: "a" value{int64_list{value: [3, 270, -1]}}}}}, by the encoding's own examples.
    numbers = bytes([0x03, 0x8E, 0x02, *[0xFF] * 9, 0x01])
    feature = bytes([0x1A, len(numbers) + 2, 0x0A, len(numbers)]) + numbers
    entry = bytes([0x0A, 1]) + b"a" + bytes([0x12, len(feature)]) + feature
    features = bytes([0x0A, len(entry)]) + entry
    assert parse(bytes([0x0A, len(features)]) + features)["a"].tolist() == [3, 270, -1]  # type: ignore[union-attr]


def test_unpacked_numbers_are_read_too() -> None:
    feature = bytes([0x12, 10]) + b"".join(b"\x0d" + np.float32(x).tobytes() for x in (1.5, -2))
    entry = bytes([0x0A, 1]) + b"f" + bytes([0x12, len(feature)]) + feature
    features = bytes([0x0A, len(entry)]) + entry
    assert parse(bytes([0x0A, len(features)]) + features)["f"].tolist() == [1.5, -2]  # type: ignore[union-attr]


@given(st.data())
def test_changed_bytes_are_parsed_or_called_damaged(data: st.DataObject) -> None:
    whole = bytearray(serialize({"steps/action": np.ones(7, np.float32), "steps/n": np.arange(9), "t": [b"text"] * 3}))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=3)):
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        parsed = parse(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    except Damaged:
        return
    assert all(isinstance(name, str) for name in parsed)


def test_other_bytes_are_no_example() -> None:
    with pytest.raises(Damaged, match=r"no tf\.train\.Example"):
        parse(b"\xff" * 40)
