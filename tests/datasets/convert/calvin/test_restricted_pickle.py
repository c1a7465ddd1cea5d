"""Plain data comes through as pickle itself reads it; everything that could run is refused and does not run."""

from __future__ import annotations

import builtins
import codecs
import collections
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvla.datasets.convert.calvin.pickled_arrays import Refused
from pvla.datasets.convert.calvin.restricted_pickle import loads

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
NUMPY = np.zeros(1).__reduce__()[0].__module__.rpartition(".")[0]  # type: ignore[union-attr]
"""numpy.core before version 2, numpy._core since."""

atoms = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.text() | st.binary()
plain = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(plain, st.sampled_from(PROTOCOLS))
def test_plain_data_as_pickle_reads_it(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    result = loads(data)
    assert result == pickle.loads(data)
    assert type(result) is type(value)


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    np.array([1, 2, 3], ">i2"),
    np.array([True, False]),
    np.array(["pick up", "né"]),
    np.array([b"ab", b"c"]),
    np.array(3.5),
    np.zeros((0, 4)),
    np.array([1 + 2j], np.complex64),
    np.float32(1.5),
    np.int64(-7),
    np.str_("text"),
    np.bool_(True),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS, ids=repr)
def test_arrays_as_pickle_reads_them(array: Any, protocol: int) -> None:
    data = pickle.dumps(array, protocol)
    result = loads(data)
    np.testing.assert_array_equal(result, pickle.loads(data))
    assert (type(result), result.shape, result.dtype) == (type(array), array.shape, array.dtype)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_objects(protocol: int) -> None:
    array = np.array([["a", None], [np.arange(3), {"b": (1, 2.5)}]], object)
    result = loads(pickle.dumps(array, protocol))
    assert result.shape == (2, 2)
    assert result.dtype == object
    assert result[0].tolist() == ["a", None]
    np.testing.assert_array_equal(result[1, 0], np.arange(3))
    assert result[1, 1] == {"b": (1, 2.5)}


def test_what_is_shared_stays_shared() -> None:
    shared = [np.arange(2)]
    result = loads(pickle.dumps({"a": shared, "b": shared}))
    assert result["a"] is result["b"]


def test_names_of_numpy_1_and_2() -> None:
    data = pickle.dumps(np.arange(3.0), 2)
    for package in (b"numpy.core", b"numpy._core"):
        renamed = data.replace(f"c{NUMPY}.multiarray".encode(), b"c" + package + b".multiarray")
        np.testing.assert_array_equal(loads(renamed), np.arange(3.0))


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class Opened:
    """Something with a state of its own."""

    def __init__(self) -> None:
        self.value = 1


HOSTILE = [
    (os.system, "touch ran"),
    (os.mkdir, "ran"),
    (builtins.eval, "__import__('os').mkdir('ran')"),
    (builtins.exec, "import os; os.mkdir('ran')"),
    (builtins.getattr, os, "mkdir"),
    (builtins.open, "ran", "w"),
    (builtins.__import__, "os"),
    (np.load, "ran"),
    (np.fromfile, "ran"),
    (np.memmap, "ran", np.uint8, "w+", 0, (10,)),
    (np.save, "ran", 1),
    (np.frombuffer, b"ab", np.uint8),
    (codecs.decode, b"ab", "latin1"),
    (codecs.open, "ran", "w"),
    (collections.OrderedDict,),
    (pickle.loads, b"N."),
    (bytearray, 10**12),
    (Path, "ran"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("call", HOSTILE, ids=lambda call: getattr(call[0], "__name__", "call"))
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"language": [x]}, lambda x: np.array([x], object)])
def test_calls_are_refused_and_do_not_happen(
    call: tuple[Any, ...], protocol: int, wrap: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if call[1:2] == (os,):
        data = b"cbuiltins\ngetattr\n(cos\nsystem\nVmkdir\ntR."
    else:
        data = pickle.dumps(wrap(Calls(*call)), protocol)
    with pytest.raises(Refused, match=r"asks for|instruction|calls something"):
        loads(data)
    assert not (tmp_path / "ran").exists()


def test_the_refusal_names_what_was_asked_for() -> None:
    with pytest.raises(Refused, match=r"asks for posix.system; only texts, numbers, lists and numpy arrays are read"):
        loads(pickle.dumps(Calls(os.system, "true")))


ARRAY_STATE = pickle.dumps(np.arange(2.0), 2)
BY_HAND = {
    "an instance": pickle.dumps(Opened()),
    "a class": pickle.dumps(dict, 2),
    "a set": pickle.dumps({1}, 4),
    "a persistent id": b"Pwho\n.",
    "a binary persistent id": b"U\x03whoQ.",
    "an extension": b"\x82\x01.",
    "INST": b"(S'touch ran'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch ran'\no.",
    "a numpy name alone": b"cnumpy\ndtype\n.",
    "a numpy name in a list": b"(lcnumpy\nndarray\na.",
    "a call of the array's class": b"cnumpy\nndarray\n(I3\ntR.",
    "a call of a number": b"I3\n)R.",
    "a call with no tuple": b"cnumpy\ndtype\nI3\nR.",
    "a state for a name": b"cnumpy\ndtype\n}S'__call__'\nI1\nsb.",
    "a state for a list": b"](I1\ntb.",
    "a dict as an array's state": f"c{NUMPY}.multiarray\n_reconstruct\n".encode()
    + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR}b.",
    "an array that was not described": f"c{NUMPY}.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.".encode(),
    "an array of 10**12 bytes": f"c{NUMPY}.multiarray\n_reconstruct\n".encode()
    + b"(cnumpy\nndarray\n(L1000000000000L\ntS'b'\ntR.",
    "a dtype of fields": pickle.dumps(np.zeros(2, [("a", "i4")])),
    "a date": pickle.dumps(np.datetime64("2026-01-01")),
    "a masked array": pickle.dumps(np.ma.masked_array([1, 2], [True, False])),
    "bytes of a number": b"cbuiltins\nbytes\n(I1000000000\ntR.",
    "a dtype of 10**9 bytes": b"cnumpy\ndtype\n(S'S1000000000'\nI0\nI1\ntR.",
    "a scalar object": f"c{NUMPY}.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\nI0\nI1\ntRS'x'\ntR.".encode(),
    "a tuple as a key": pickle.dumps({(1, 2): 3}),
    "too many bytes for the array": ARRAY_STATE.replace(b"K\x02\x85", b"K\x03\x85"),
    "another encoding": b"c_codecs\nencode\n(Vab\nVutf-7\ntR.",
    "something that is added to a number": b"I3\nI4\na.",
    "an odd number of things in a dict": b"}(I1\nu.",
    "a mark": b"(.",
    "no mark": b"I1\nt.",
    "an unknown memo": b"h\x05.",
    "nothing": b"",
    "an empty stack": b".",
    "no end": b"I3\n",
    "no pickle": b"\x93NUMPY",
    "text": b"hello world",
    "cut off": pickle.dumps({"language": ["a" * 100]})[:40],
}


@pytest.mark.parametrize("data", BY_HAND.values(), ids=BY_HAND.keys())
def test_what_is_no_plain_data_is_refused(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r"^(Its pickle|It has) .*\.$"):
        loads(data)
    assert list(tmp_path.iterdir()) == []


def test_copies_of_one_long_text_do_not_fill_the_memory() -> None:
    text = b"X" + struct.pack("<I", 1 << 16) + b"a" * (1 << 16) + b"q\x00"
    call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    with pytest.raises(Refused, match="more memory than it has bytes"):
        loads(b"\x80\x02(" + text + call * 4096 + b"l.")


def test_deep_nests_are_refused() -> None:
    with pytest.raises(Refused, match="nested more than 32 deep"):
        loads(b"]" * 100_000 + b"a" * 99_999 + b".")
    with pytest.raises(Refused, match="nested more than 32 deep"):
        loads(b")" + b"\x85" * 100_000 + b".")


def test_a_list_in_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(Refused, match="nested more than 32 deep"):
        loads(pickle.dumps(circle))


@settings(max_examples=150)
@given(st.data())
def test_changed_bytes_are_refused_or_plain(data: st.DataObject) -> None:
    document = {"language": {"ann": ["a", "b"], "emb": np.zeros((2, 3))}, "info": {"indx": [(np.int64(1), 2)]}}
    pickled = bytearray(pickle.dumps(document, data.draw(st.sampled_from(PROTOCOLS))))
    for _ in range(data.draw(st.integers(1, 4))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = loads(bytes(pickled))
    except Refused:
        return
    assert isinstance(
        result, (dict, list, tuple, str, bytes, bytearray, int, float, bool, np.ndarray, np.generic, type(None))
    )
