"""A bundle, an engine, an arm, a camera, a clock and a planner that exist in memory only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pvla.deploy.bundle import Bundle, BundleContent, write_manifest
from pvla.deploy.engine import Array
from pvla.deploy.hardware import ArmState, Frame
from pvla.deploy.manifest import GraphSpec
from pvla.deploy.planner import Answer, Request
from pvla.deploy.policy import Observation, Plan

K, Z, H, A, S, L = 2, 3, 8, 7, 7, 6
HEAD, WRIST = (8, 8, 3), (4, 4, 3)


def graph(
    file: str, inputs: dict[str, tuple[str, tuple[int, ...]]], outputs: dict[str, tuple[int, ...]]
) -> dict[str, Any]:
    return {
        "file": file,
        "inputs": [{"name": n, "dtype": d, "shape": s} for n, (d, s) in inputs.items()],
        "outputs": [{"name": n, "dtype": "float32", "shape": s} for n, s in outputs.items()],
    }


def _f32(**shapes: tuple[int, ...]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: ("float32", shape) for name, shape in shapes.items()}


def step_graphs() -> dict[str, dict[str, Any]]:
    latent = _f32(x_z=(1, K, Z), tau=(1,), alpha_bar=(1,), alpha_bar_prev=(1,))
    bars = {f"alpha_bar_{part}{end}": (1,) for part in "za" for end in ("", "_prev")}
    joint = _f32(x_z=(1, K, Z), x_a=(1, H, A), tau=(1,), **bars)
    noise = _f32(x_z=(1, K, Z), x_a=(1, H, A))
    goal = _f32(goal=(1, A))
    loop_out = {"x_z_out": (1, K, Z), "x_a_out": (1, H, A)}
    graphs = {}
    for mode in ("plain", "fast", "full"):
        scale = {} if mode == "plain" else _f32(scale=(1,))
        extra: dict[str, tuple[int, ...]] = {} if mode == "plain" else {"grad": (1, K, Z), "q": (1,)}
        out = {"x_z_next": (1, K, Z), "eps": (1, K, Z), **extra}
        graphs[f"latent_step_{mode}"] = graph("a.onnx", {**latent, **scale, **goal}, out)
        graphs[f"joint_step_{mode}"] = graph("a.onnx", {**joint, **scale, **goal}, {**out, "x_a_next": (1, H, A)})
        q: dict[str, tuple[int, ...]] = {} if mode == "plain" else {"q": (1,)}
        graphs[f"sampler_{mode}"] = graph("a.onnx", {**noise, **scale, **goal}, {**loop_out, **q})
    graphs["score"] = graph("a.onnx", {**_f32(x_z=(1, K, Z)), **goal}, {"q": (1,)})
    return graphs


def content(**changes: Any) -> BundleContent:
    graphs = {
        "vision": graph(
            "a.onnx", {"head": ("uint8", (1, *HEAD)), "wrist": ("uint8", (1, *WRIST))}, {"patches": (1, 4, 5)}
        ),
        "text": graph("a.onnx", {"tokens": ("int64", (1, L))}, {"text": (1, L, 3)}),
        "progress": graph("a.onnx", _f32(text=(1, L, 3), start=(1, 4, 5), current=(1, 4, 5)), {"progress": (1,)}),
        "context": graph(
            "a.onnx",
            _f32(text=(1, L, 3), start=(1, 4, 5), current=(1, 4, 5), state=(1, S)),
            {"goal": (1, A), "unused": (1,)},
        ),
        **step_graphs(),
    }
    fields: dict[str, Any] = {
        "name": "fake",
        "created": "2026-01-01T00:00:00Z",
        "pvla_version": "0.1.0",
        "graphs": graphs,
        "cameras": [{"name": "head", "height": 8, "width": 8}, {"name": "wrist", "height": 4, "width": 4}],
        "dims": {
            "patches": 4, "feature": 5, "text_tokens": L, "text_width": 3, "latent_tokens": K, "latent_dim": Z,
            "horizon": H, "action_dim": A,
            "state_dim": S, "gap": 8,
        },
        "schedules": {},
        "sampling": {
            "latent_steps": 3, "joint_steps": 4, "clip_latent": 4.0, "clip_action": 1.0,
            "guidance": {"mode": "fast", "scale": 2.0, "every": 1, "window": [0, 1000]},
        },
        "action_transform": {
            "low": np.full((H, A), -1.0), "high": np.full((H, A), 1.0), "relative": [True] * 6 + [False],
        },
        "action_space": {
            "kind": "joint_position", "names": [f"joint{i}" for i in range(1, 7)] + ["gripper"],
            "units": ["rad"] * 6 + ["1"], "frame": "joints", "rate_hz": 10.0,
        },
        "limits": {
            "position_low": [-3.0] * 6 + [0.0], "position_high": [3.5] * 6 + [1.0], "velocity": [5.0] * 6 + [10.0],
            "acceleration": [50.0] * 6 + [200.0], "workspace_low": [-1.0, -1.0, -1.0],
            "workspace_high": [1.0, 1.0, 1.0],
        },
        "control": {"rate_hz": 10.0, "execute": 2, "delay": 1, "blend": 0},
        "stop": {"threshold": 0.9, "consecutive": 2},
        "tasks": {"stack_bowls": ["stack the bowls", "put one bowl on the other"]},
    }  # fmt: skip
    return BundleContent.model_validate({**fields, **changes})


def write_tokenizer(file: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "stack": 2, "the": 3, "bowls": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(file))


def write_bundle(folder: Path, **changes: Any) -> Bundle:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.onnx").write_bytes(b"not really a graph")
    write_tokenizer(folder / "tokenizer.json")
    write_manifest(folder, content(**changes))
    return Bundle.load(folder)


class FakeEngine:
    """Follows the graph contract in numpy.

    The denoisers point at a clean latent `CLEAN` and at actions `goal` (from the context); Q = sum of the latent, so
    that its gradient is 1 everywhere.
    """

    CLEAN = 0.25

    def __init__(self, specs: dict[str, GraphSpec]) -> None:
        self.specs = specs
        self.calls: list[str] = []
        self.broken: set[str] = set()

    def run(self, graph: str, feeds: dict[str, Array]) -> dict[str, Array]:
        spec = self.specs[graph]
        assert set(feeds) == set(spec.input_names()), (graph, sorted(feeds))
        for tensor in spec.inputs:
            assert feeds[tensor.name].shape == tensor.shape, (graph, tensor.name, feeds[tensor.name].shape)
            assert feeds[tensor.name].dtype == np.dtype(tensor.dtype), (graph, tensor.name)
        self.calls.append(graph)
        out = getattr(self, f"_{graph.removesuffix('_plain').removesuffix('_fast').removesuffix('_full')}")(feeds)
        out = {name: out[name].astype(np.float32) for name in spec.output_names()}
        if graph in self.broken:
            out = {name: value * np.nan for name, value in out.items()}
        return out

    def _vision(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {"patches": np.full((1, 4, 5), feeds["head"].mean() / 255 + 0 * feeds["wrist"].mean())}

    def _text(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {"text": np.repeat(feeds["tokens"][..., None], 3, axis=2)}

    def _progress(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {"progress": feeds["current"].mean((1, 2))}

    def _context(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {"goal": np.full((1, A), 0.1), "unused": np.zeros(1)}

    def _eps(self, x: Array, clean: Array, bar: Array) -> Array:
        return (x - np.sqrt(bar) * clean) / np.sqrt(1 - bar)

    def _move(self, x: Array, eps: Array, bar: Array, prev: Array, clip: float) -> Array:
        sigma = np.sqrt(1 - bar)
        x0 = np.clip((x - sigma * eps) / np.sqrt(bar), -clip, clip)
        return np.sqrt(prev) * x0 + np.sqrt(1 - prev) * (x - np.sqrt(bar) * x0) / sigma

    def _latent(self, feeds: dict[str, Array], bar: Array, prev: Array) -> dict[str, Array]:
        eps = self._eps(feeds["x_z"], np.float32(self.CLEAN), bar)
        grad = np.ones_like(eps)
        guided = eps - feeds.get("scale", np.zeros(1)) * np.sqrt(1 - bar) * grad
        x_z = self._move(feeds["x_z"], guided, bar, prev, 4.0)
        return {"x_z_next": x_z, "eps": eps, "grad": grad, "q": feeds["x_z"].sum((1, 2))}

    def _latent_step(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return self._latent(feeds, feeds["alpha_bar"], feeds["alpha_bar_prev"])

    def _joint_step(self, feeds: dict[str, Array]) -> dict[str, Array]:
        out = self._latent(feeds, feeds["alpha_bar_z"], feeds["alpha_bar_z_prev"])
        goal = feeds["goal"][:, None] + 0.01 * out["x_z_next"].mean()
        bar, prev = feeds["alpha_bar_a"], feeds["alpha_bar_a_prev"]
        eps = self._eps(feeds["x_a"], goal, bar)
        return {**out, "x_a_next": self._move(feeds["x_a"], eps, bar, prev, 1.0)}

    def _sampler(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {"x_z_out": feeds["x_z"] * 0, "x_a_out": feeds["x_a"] * 0, "q": np.array([0.5])}

    def _score(self, feeds: dict[str, Array]) -> dict[str, Array]:
        return {"q": feeds["x_z"].sum((1, 2))}


class FakeClock:
    """Time that passes only by waiting, or when a test says so."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wait_until(self, when: float) -> None:
        self.time = max(self.time, when)


@dataclass
class FakeArm:
    """Follows commands at once."""

    clock: FakeClock
    q: Array = field(default_factory=lambda: np.zeros(6))
    gripper: float = 1.0
    log: list[str] = field(default_factory=list)
    commands: list[Array] = field(default_factory=list)
    silent_after: int = 10**9
    read_faults_after: int = 10**9
    reads: int = 0
    measured_at: float = 0.0

    def read(self) -> ArmState:
        self.reads += 1
        if self.reads <= self.silent_after:
            self.measured_at = self.clock.now()
        return ArmState(self.q.copy(), self.gripper, self.measured_at)

    def command(self, q: Array, gripper: float) -> None:
        self.log.append("command")
        self.commands.append(np.append(q, gripper))
        self.q, self.gripper = q.copy(), gripper

    def hold(self) -> None:
        self.log.append("hold")

    def damp(self) -> None:
        self.log.append("damp")

    def close(self) -> None:
        self.log.append("close")


@dataclass
class FakeCamera:
    """Gets brighter with every picture; brightness / 255 is the progress that FakeEngine sees."""

    clock: FakeClock
    shape: tuple[int, int, int]
    step: int = 10
    stale_after: int = 10**9
    reads: int = 0
    taken_at: float = 0.0

    def read(self) -> Frame:
        self.reads += 1
        if self.reads <= self.stale_after:
            self.taken_at = self.clock.now()
        level = min(255, self.reads * self.step)
        return Frame(np.full(self.shape, level, np.uint8), self.taken_at)

    def close(self) -> None:
        pass


class FakePlanner:
    """Answers `latency` polls after a request; progress is `slope` times the frame's number."""

    def __init__(self, slope: float = 0.05, latency: int = 1, goal: float = 0.2) -> None:
        self.slope, self.latency, self.goal = slope, latency, goal
        self.requests: list[Request] = []
        self.closed = False
        self.errors: deque[Exception] = deque()
        self._waiting: tuple[int, Request] | None = None

    def warm_up(self, instruction: str, observation: Observation) -> None:
        pass

    def answer_now(self, request: Request) -> Answer:
        return self._answer(request)

    def submit(self, request: Request) -> None:
        assert not self.busy
        self.requests.append(request)
        self._waiting = (self.latency, request)

    def poll(self) -> Answer | None:
        if self._waiting is None:
            return None
        left, request = self._waiting
        self._waiting = (left - 1, request)
        if left > 1:
            return None
        self._waiting = None
        return self._answer(request)

    @property
    def busy(self) -> bool:
        return self._waiting is not None

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: Request) -> Answer:
        progress = self.slope * request.frame
        if request.wants_plan and self.errors:
            return Answer(request, progress, error=self.errors.popleft())
        plan = Plan(np.full((H, A), self.goal), np.zeros((K, Z)), ratios=[0.2]) if request.wants_plan else None
        return Answer(request, progress, plan, 0.05)


class FlatArm:
    """Kinematics of a toy: the tool is at the first three joint angles, in m."""

    def tcp(self, q: Array) -> Array:
        return np.asarray(q[:3], np.float64)
