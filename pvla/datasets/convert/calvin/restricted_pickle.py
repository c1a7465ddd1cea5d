"""Pickled data without pickle: texts, numbers, lists, dicts and numpy arrays, and nothing that could run.

A pickle is a program for a small stack machine, and Python's own machine calls whatever the program names. The one in
here knows the instructions that build plain data, calls nothing that the file names, and refuses the rest. numpy's part
of a file is read as a description (dtype, shape, bytes) from which the array is made anew and checked, so that not even
numpy's unpickling code sees it. Memory stays within a small multiple of the file's size.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.calvin.pickled_arrays import (
    CALLS,
    KNOWN,
    Array,
    Dtype,
    Name,
    Refused,
    count_of,
    describe_array,
    describe_dtype,
    from_bytes,
)

_MAX_DEPTH: Final = 32
_MADE_PER_BYTE: Final = 16
_KEYS: Final = (str, bytes, int, float, bool, type(None))


def loads(data: bytes) -> Any:
    """The value that a pickle describes.

    Args:
        data: a pickle of any protocol, of None, bool, int, float, str, bytes, tuple, list, dict with plain keys, and
            numpy arrays and scalars of numbers, texts, or objects that are of these kinds again.

    Returns:
        The value; lists and dicts that the file shares between places are shared.

    Raises:
        Refused: it holds anything else (the sentence names it), is cut off, or is nested too deeply.
    """
    try:
        budget = _Budget(_MADE_PER_BYTE * len(data))
        return _Resolver(budget).value(_Machine(budget).run(data))
    except Refused:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError) as error:
        raise Refused(f"Its pickle is damaged ({type(error).__name__}: {str(error)[:80]}).") from error


class _Budget:
    """Bytes that may still be made: a few instructions can ask for copies of one long text again and again.

    Args:
        left: how many.
    """

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Refused("Its pickle asks for much more memory than it has bytes.")


_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES: Final = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
"""Instructions that push their own argument."""
_MARK: Final = object()


class _Machine:
    """Runs the program of a pickle as far as it builds plain data."""

    def __init__(self, budget: _Budget) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self._budget = budget

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.stack.pop()
            self._step(opcode.name, argument)
        raise Refused("Its pickle does not end.")

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name not in ("PROTO", "FRAME"):
            action = getattr(self, f"_do_{name.lower()}", None)
            if action is None:
                raise Refused(f"Its pickle uses the instruction {name}, which plain data does not need.")
            action(argument)

    def _marked(self) -> list[Any]:
        """What lies above the last mark, taken off together with it."""
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("no mark")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def _popped(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items

    def _do_mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def _do_pop(self, _: None) -> None:
        self.stack.pop()

    def _do_pop_mark(self, _: None) -> None:
        self._marked()

    def _do_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def _do_empty_list(self, _: None) -> None:
        self.stack.append([])

    def _do_empty_dict(self, _: None) -> None:
        self.stack.append({})

    def _do_list(self, _: None) -> None:
        self.stack.append(self._marked())

    def _do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self._marked()))

    def _do_tuple1(self, _: None) -> None:
        self.stack.append(self._popped(1))

    def _do_tuple2(self, _: None) -> None:
        self.stack.append(self._popped(2))

    def _do_tuple3(self, _: None) -> None:
        self.stack.append(self._popped(3))

    def _do_dict(self, _: None) -> None:
        items = self._marked()
        self.stack.append({})
        self._fill(items)

    def _do_append(self, _: None) -> None:
        self._extend(list(self._popped(1)))

    def _do_appends(self, _: None) -> None:
        self._extend(self._marked())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("something is added to what is no list")
        self.stack[-1].extend(items)

    def _do_setitem(self, _: None) -> None:
        self._fill(list(self._popped(2)))

    def _do_setitems(self, _: None) -> None:
        self._fill(self._marked())

    def _fill(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("something is set in what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Tuples as keys would be hashed however deep they nest, which can overflow the C stack.
            if not isinstance(key, _KEYS):
                raise Refused("Its pickle has a dict with a key that is no text or number.")
            target[key] = value

    def _do_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _do_put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _do_binget = _do_long_binget = _do_get

    def _do_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(_known(module, name))

    def _do_stack_global(self, _: None) -> None:
        module, name = self._popped(2)
        self.stack.append(_known(module, name))

    def _do_reduce(self, _: None) -> None:
        function, arguments = self._popped(2)
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Refused("Its pickle calls something that is no part of numpy's arrays.")
        made = CALLS[function.what](*arguments)
        self._budget.spend(len(made) if isinstance(made, bytes) else getattr(made, "nbytes", 0))
        self.stack.append(made)

    def _do_build(self, _: None) -> None:
        target, state = self._popped(2)
        self.stack.append(target)
        if isinstance(target, Array) and isinstance(state, tuple):
            describe_array(target, *state)
        elif isinstance(target, Dtype) and isinstance(state, tuple):
            describe_dtype(target, *state)
        else:
            raise Refused("Its pickle gives a state to something that is no numpy array.")


def _known(module: Any, name: Any) -> Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a name that is no text")
    what = KNOWN.get((module, name))
    if what is None:
        asked = f"{module}.{name}"[:80]
        raise Refused(f"Its pickle asks for {asked}; only texts, numbers, lists and numpy arrays are read.")
    return Name(what)


class _Resolver:
    """Puts real numpy arrays in the place of their descriptions; what is shared is converted once."""

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget
        self._done: dict[int, tuple[Any, Any]] = {}  # with the original, whose id must stay its own

    def value(self, item: Any, depth: int = 0) -> Any:
        if isinstance(item, (Name, Dtype)) or item is _MARK:
            raise Refused("Its pickle has a class where a value belongs.")
        if not isinstance(item, (list, tuple, dict, Array)):
            return item
        if id(item) not in self._done:
            if depth > _MAX_DEPTH:
                raise Refused(f"Its pickle is nested more than {_MAX_DEPTH} deep.")
            self._done[id(item)] = (item, self._converted(item, depth + 1))
        return self._done[id(item)][1]

    def _converted(self, item: Any, depth: int) -> Any:
        if isinstance(item, Array):
            return self._array(item, depth)
        if isinstance(item, dict):
            return {key: self.value(value, depth) for key, value in item.items()}
        return type(item)(self._all(item, depth))

    def _all(self, items: Any, depth: int) -> Iterator[Any]:
        return (self.value(item, depth) for item in items)

    def _array(self, array: Array, depth: int) -> npt.NDArray[Any]:
        if not isinstance(array.dtype, Dtype):
            raise ValueError("an array without a dtype")
        count, dtype = count_of(array.shape), array.dtype.numpy()
        # numpy writes the items in the order in which they lie in memory.
        shape = array.shape if array.order == "C" else array.shape[::-1]
        if dtype.hasobject:
            if not isinstance(array.content, list) or len(array.content) != count:
                raise ValueError(f"an array of shape {array.shape} that has not the objects for it")
            self._budget.spend(8 * count)
            flat = np.empty(count, object)
            for n, item in enumerate(self._all(array.content, depth)):
                flat[n] = item
            rows: npt.NDArray[Any] = flat.reshape(shape)
        else:
            self._budget.spend(len(array.content) if isinstance(array.content, str) else 0)
            rows = from_bytes(dtype, shape, array.content)
        return rows if array.order == "C" else np.transpose(rows)
