"""A bundle of real, tiny ONNX graphs for the simulated arm: it goes to a fixed pose and calls that progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from deploy_fakes import content, write_tokenizer

from pvla.deploy.bundle import Bundle, write_manifest
from pvla.deploy.manifest import GraphSpec, TensorSpec
from pvla.sim.scene import HOME

K, Z, H, A, L, P, D, DT = 2, 3, 8, 7, 6, 4, 5, 3
GOAL = np.append(HOME + np.array([0.3, 0.2, 0.1, 0.0, 0.0, 0.2]), 1.0)

HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'
X_Z, X_A, GOAL_IN = "float[1,2,3] x_z", "float[1,8,7] x_a", "float[1,1,7] goal"
BARS = "float[1] {0}, float[1] {0}_prev"

# The clean latent is 0.25; guidance adds scale * (1 - alpha_bar) to the noise's image of it.
LATENT = """
    root = Sqrt({bar})
    one = Constant <value = float[1] {{1.0}}> ()
    rest = Sub(one, {bar})
    sigma = Sqrt(rest)
    clean = Constant <value = float[1] {{0.25}}> ()
    signal = Mul(root, clean)
    noise = Sub(x_z, signal)
    eps = Div(noise, sigma)
    zero = Sub(x_z, x_z)
    {gradient}
    weighted = Mul(sigma, push)
    guided = Sub(eps, weighted)
    moved = Mul(sigma, guided)
    unmoved = Sub(x_z, moved)
    x0 = Div(unmoved, root)
    root_prev = Sqrt({bar}_prev)
    rest_prev = Sub(one, {bar}_prev)
    sigma_prev = Sqrt(rest_prev)
    kept = Mul(root_prev, x0)
    added = Mul(sigma_prev, guided)
    x_z_next = Add(kept, added)
"""
GUIDED = """
    grad = Add(zero, one)
    push = Mul(grad, scale)
    q = ReduceMean <keepdims = 0, noop_with_empty_axes = 0> (x_z)
    q1 = Reshape(q, shape1)
"""
PLAIN = "push = Identity(zero)"
ACTION = """
    root_a = Sqrt(alpha_bar_a)
    rest_a = Sub(one, alpha_bar_a)
    sigma_a = Sqrt(rest_a)
    signal_a = Mul(root_a, goal)
    noise_a = Sub(x_a, signal_a)
    eps_a = Div(noise_a, sigma_a)
    root_ap = Sqrt(alpha_bar_a_prev)
    rest_ap = Sub(one, alpha_bar_a_prev)
    sigma_ap = Sqrt(rest_ap)
    kept_a = Mul(root_ap, goal)
    added_a = Mul(sigma_ap, eps_a)
    x_a_next = Add(kept_a, added_a)
"""


def _step(kind: str, mode: str) -> str:
    bar = "alpha_bar" if kind == "latent" else "alpha_bar_z"
    inputs = [X_Z, "float[1] tau", BARS.format(bar)]
    outputs = ["float[1,2,3] x_z_next", "float[1,2,3] eps"]
    body = LATENT.format(bar=bar, gradient=PLAIN if mode == "plain" else GUIDED.replace("q1 = Reshape(q, shape1)", ""))
    if kind == "joint":
        inputs += [X_A, BARS.format("alpha_bar_a")]
        outputs += ["float[1,8,7] x_a_next"]
        body += ACTION
    if mode != "plain":
        inputs += ["float[1] scale"]
        outputs += ["float[1,2,3] grad", "float[1] q"]
        body = body.replace("q = ReduceMean <keepdims = 0, noop_with_empty_axes = 0> (x_z)", MEAN.format("x_z", "q"))
    return f"{HEADER}g ({', '.join([*inputs, GOAL_IN])}) => ({', '.join(outputs)}) {{{body}}}"


MEAN = """flat_{1} = Flatten <axis = 1> ({0})
    axis_{1} = Constant <value = int64[1] {{1}}> ()
    {1} = ReduceMean <keepdims = 0> (flat_{1}, axis_{1})
"""


def _models(progress: float) -> dict[str, str]:
    goal = ", ".join(f"{value:.6f}" for value in GOAL)
    distance = f"wanted = Constant <value = float[1,7] {{{goal}}}> ()"
    return {
        "vision": HEADER + "g (uint8[1,128,128,3] head, uint8[1,64,64,3] wrist) => (float[1,4,5] patches) {"
        "f = Cast <to = 1> (head) w = Cast <to = 1> (wrist)"
        + MEAN.format("f", "h")
        + MEAN.format("w", "v")
        + "s = Add(h, v) n = Sub(s, s) r = Constant <value = int64[3] {1, 1, 1}> () t = Reshape(n, r)"
        " e = Constant <value = int64[3] {1, 4, 5}> () patches = Expand(t, e) }",
        "text": HEADER + "g (int64[1,6] tokens) => (float[1,6,3] text) { f = Cast <to = 1> (tokens)"
        " r = Constant <value = int64[3] {1, 6, 1}> () t = Reshape(f, r)"
        " e = Constant <value = int64[3] {1, 6, 3}> () text = Expand(t, e) }",
        "progress": HEADER
        + "g (float[1,6,3] text, float[1,4,5] start, float[1,4,5] current) => (float[1] progress) {"
        + MEAN.format("current", "m")
        + f"c = Constant <value = float[1] {{{progress}}}> ()"
        " progress = Add(m, c) }",
        "context": HEADER + "g (float[1,6,3] text, float[1,4,5] start, float[1,4,5] current, float[1,7] state)"
        " => (float[1,1,7] goal) {" + distance + " d0 = Sub(wanted, state)"
        " m = Constant <value = float[1,7] {1,1,1,1,1,1,0}> () s = Mul(state, m) d = Sub(wanted, s)"
        " lo = Constant <value = float {-0.2}> () hi = Constant <value = float {0.2}> () c = Clip(d, lo, hi)"
        " r = Constant <value = int64[3] {1, 1, 7}> () goal = Reshape(c, r) }",
        **{f"{kind}_step_{mode}": _step(kind, mode) for kind in ("latent", "joint") for mode in ("plain", "fast")},
        "score": HEADER + f"g ({X_Z}) => (float[1] q) {{{MEAN.format('x_z', 'q')}}}",
    }


def _spec(model: Any, file: str) -> GraphSpec:
    def tensor(value: Any) -> TensorSpec:
        kind = value.type.tensor_type
        dtype = {1: "float32", 2: "uint8", 7: "int64"}[kind.elem_type]
        return TensorSpec(name=value.name, dtype=dtype, shape=tuple(d.dim_value for d in kind.shape.dim))  # type: ignore[arg-type]

    graph = model.graph
    return GraphSpec(file=file, inputs=tuple(map(tensor, graph.input)), outputs=tuple(map(tensor, graph.output)))


def write_onnx_bundle(folder: Path, progress: float = 0.2, **changes: Any) -> Bundle:
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {}
    for name, text in _models(progress).items():
        model = onnx.parser.parse_model(text)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, folder / f"{name}.onnx")
        graphs[name] = _spec(model, f"{name}.onnx")
    write_tokenizer(folder / "tokenizer.json")
    cameras = [{"name": "head", "height": 128, "width": 128}, {"name": "wrist", "height": 64, "width": 64}]
    fields = {"graphs": graphs, "cameras": cameras, "stop": {"threshold": 0.9, "consecutive": 2}, **changes}
    write_manifest(folder, content(**fields))
    return Bundle.load(folder)
