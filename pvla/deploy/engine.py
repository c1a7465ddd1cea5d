"""Engines run the graphs of a bundle: numpy in, numpy out. Here is the protocol, and onnxruntime on the CPU."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pvla.deploy.bundle import Bundle
from pvla.deploy.manifest import GraphSpec
from pvla.errors import InputError, RunFault

Array = npt.NDArray[Any]


class Engine(Protocol):
    """What runs the graphs of a bundle."""

    def run(self, graph: str, feeds: dict[str, Array]) -> dict[str, Array]:
        """Outputs of `graph` by name, for inputs by name, all with static shapes and B = 1."""
        ...


class OnnxEngine:
    """onnxruntime on the CPU; a session is made when its graph first runs.

    Args:
        bundle: a verified bundle.
        threads: threads inside one operator. One is the best choice beside a control thread on two cores.
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self._bundle = bundle
        self._threads = threads
        self._sessions: dict[str, Any] = {}

    def run(self, graph: str, feeds: dict[str, Array]) -> dict[str, Array]:
        """Run `graph` after checking names, dtypes and shapes of `feeds`.

        Raises:
            InputError: the bundle has no such graph, or onnxruntime cannot load it.
            RunFault: feeds do not fit the graph, or it failed while running.
        """
        spec = self._bundle.graph(graph)
        check_feeds(graph, spec, feeds)
        session = self._session(graph)
        names = spec.output_names()
        try:
            values = session.run(names, feeds)
        except Exception as error:
            raise RunFault(f"Graph {graph} failed while running: {_first_line(error)}.") from error
        return dict(zip(names, values, strict=True))

    def _session(self, graph: str) -> Any:
        if graph not in self._sessions:
            self._sessions[graph] = self._open(graph)
        return self._sessions[graph]

    def _open(self, graph: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = True
        options.log_severity_level = 3
        # A spinning pool would take the core that the control thread needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = self._bundle.graph_file(graph)
        try:
            return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InputError(f"Graph {file} cannot be loaded by onnxruntime: {_first_line(error)}.") from error


def check_feeds(graph: str, spec: GraphSpec, feeds: dict[str, Array]) -> None:
    """Raise RunFault unless `feeds` has exactly the inputs of `spec`, with their dtypes and shapes."""
    if set(feeds) != set(spec.input_names()):
        wrong = ", ".join(sorted(set(feeds) ^ set(spec.input_names())))
        raise RunFault(f"Graph {graph} was fed with wrong inputs: {wrong} missing or unknown.")
    for tensor in spec.inputs:
        value = feeds[tensor.name]
        if value.shape != tensor.shape or value.dtype != np.dtype(tensor.dtype):
            raise RunFault(
                f"Input {tensor.name} of graph {graph} is {value.dtype}{list(value.shape)} "
                f"instead of {tensor.dtype}{list(tensor.shape)}."
            )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
