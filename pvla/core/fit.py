"""One training loop for every stage: AdamW, warm-up and cosine, gradient clip, EMA, exact resume.

Everything random in a step is derived from (seed, step): the batch by the caller's `draw`, noise and dropout by seeding
torch anew at each step. So a run that was killed and resumed from its last state goes on exactly as the uninterrupted
run does, data position included.
"""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.checkpoint import read_header, read_tensors, write_tensors
from pvla.core.config import TrainConfig
from pvla.core.stages.base import Metrics, Stage

Draw = Callable[[int], Batch]


@dataclass(frozen=True)
class Run:
    """Where a run lives and what identifies it: a state is resumed only by a run of the same identity."""

    folder: Path
    seed: int
    identity: Mapping[str, str]
    trackers: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        """Everything needed to go on: weights, averages, optimiser moments."""
        return self.folder / "trainer.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON object a logged step."""
        return self.folder / "metrics.jsonl"


@dataclass
class Progress:
    """What a caller is told after each step."""

    step: int
    steps: int
    metrics: Metrics


class Averages:
    """Exponential moving average of a stage's trained weights; early steps average faster (1 + t) / (10 + t)."""

    def __init__(self, stage: Stage, decay: float) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in stage.trained.named_parameters()}

    def update(self, stage: Stage, step: int) -> None:
        """Move the averages towards the present weights."""
        rate = 1 - min(self.decay, (1 + step) / (10 + step))
        present = dict(stage.trained.named_parameters())
        for name, average in self.weights.items():
            average.lerp_(present[name].detach(), rate)

    @contextmanager
    def applied(self, stage: Stage) -> Iterator[None]:
        """The stage with averaged weights, for validation and for what is kept."""
        present = {k: v.detach().clone() for k, v in stage.trained.named_parameters()}
        _copy(self.weights, stage)
        try:
            yield
        finally:
            _copy(present, stage)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine from the peak down to `final_lr` of it; `step` counts from 0."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * (config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def fit(
    stage: Stage, draw: Draw, config: TrainConfig, run: Run, on_step: Callable[[Progress], None] | None = None
) -> Averages:
    """Train a stage to its configured number of steps, resuming the run's state where there is one.

    Ctrl-C finishes the step, saves the state and raises KeyboardInterrupt.

    Returns:
        The averaged weights, as they are at the last step.
    """
    accelerator = Accelerator(
        mixed_precision={"float32": "no", "bfloat16": "bf16", "float16": "fp16"}[config.precision],
        log_with=list(run.trackers) or None,
        project_dir=str(run.folder),
    )
    stage.to(accelerator.device)
    ranks, rank = accelerator.num_processes, accelerator.process_index
    optimizer = _optimizer(stage, config)
    averages = Averages(stage, config.ema)
    first = _resume(stage, optimizer, averages, run) if run.state.exists() else 0
    if first == 0:
        run.folder.mkdir(parents=True, exist_ok=True)
        with torch.no_grad():
            stage.before([draw(-1 - i).to(accelerator.device) for i in range(8)])
    if accelerator.is_main_process:
        _forget_after(run.metrics, first)
    wrapped, optimizer = accelerator.prepare(stage, optimizer)
    if run.trackers:
        accelerator.init_trackers(stage.name)
    stage.train()
    with _interruptible() as interrupted, open(run.metrics, "a") as log:
        for step in range(first, config.steps):
            torch.manual_seed(_step_seed(run.seed, step, rank))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step)
            loss, values = wrapped(draw(step * ranks + rank).to(accelerator.device))
            optimizer.zero_grad(set_to_none=True)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(stage.trained.parameters(), config.clip)
            optimizer.step()
            averages.update(stage, step)
            done, last = step + 1, step + 1 == config.steps
            stop = interrupted()  # asked once: what is saved and what is raised must agree
            metrics = {"loss": float(loss.detach())} | _floats(values)
            if done % config.log_every == 0 or last:
                if accelerator.is_main_process:
                    log.write(json.dumps({"step": done, **metrics}) + "\n")
                    log.flush()
                if run.trackers:
                    accelerator.log(metrics, step=done)
            if accelerator.is_main_process and (done % config.checkpoint_every == 0 or last or stop):
                _save(stage, optimizer, averages, run, done)
            if on_step is not None:
                on_step(Progress(done, config.steps, metrics))
            if stop:
                raise KeyboardInterrupt
    accelerator.end_training()
    return averages


@torch.no_grad()
def validate(stage: Stage, batches: list[Batch], seed: int = 0) -> Metrics:
    """Mean metrics of a stage over batches, in evaluation mode and with fixed noise."""
    stage.eval()
    torch.manual_seed(seed)
    rows = [_floats(stage(b)[1]) for b in batches]
    stage.train()
    return {k: sum(r[k] for r in rows if k in r) / sum(k in r for r in rows) for k in rows[0]}


def _floats(values: Mapping[str, Tensor]) -> Metrics:
    return {k: float(v) for k, v in values.items()}


def _step_seed(seed: int, step: int, rank: int) -> int:
    return (seed * 1_000_003 + step) * 1_009 + rank


def _optimizer(stage: Stage, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices only: decaying gains and biases pulls them to a zero that means nothing."""
    parameters = [p for p in stage.trained.parameters() if p.requires_grad]
    matrices = [p for p in parameters if p.dim() >= 2]
    vectors = [p for p in parameters if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95))


def _copy(weights: Mapping[str, Tensor], stage: Stage) -> None:
    with torch.no_grad():
        for name, parameter in stage.trained.named_parameters():
            parameter.copy_(weights[name])


def _named_moments(stage: Stage, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, dict[str, Tensor]]]:
    for name, parameter in stage.trained.named_parameters():
        if parameter in optimizer.state:
            yield name, optimizer.state[parameter]


def _save(stage: Stage, optimizer: torch.optim.Optimizer, averages: Averages, run: Run, step: int) -> None:
    tensors = {f"weights/{k}": v for k, v in stage.trained.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in averages.weights.items()}
    for name, moments in _named_moments(stage, optimizer):
        tensors |= {f"{k}/{name}": v for k, v in moments.items()}
    write_tensors(run.state, tensors, {"step": step, "identity": dict(run.identity)})


def _resume(stage: Stage, optimizer: torch.optim.Optimizer, averages: Averages, run: Run) -> int:
    """Load the run's state into everything and return the step to go on from."""
    tensors, card = read_tensors(run.state)
    stage.trained.load_state_dict(_under("weights", tensors))
    for name, value in _under("average", tensors).items():
        averages.weights[name].copy_(value)
    moments = {key: _under(key, tensors) for key in ("exp_avg", "exp_avg_sq", "step")}
    for name, parameter in stage.trained.named_parameters():
        if name in moments["step"]:
            optimizer.state[parameter] = {
                key: values[name].to(parameter.device if key != "step" else "cpu") for key, values in moments.items()
            }
    return int(card["step"])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix + "/"): v for k, v in tensors.items() if k.startswith(prefix + "/")}


def state_card(run: Run) -> dict[str, Any] | None:
    """`step` and `identity` of the state that a run's folder holds, or None where it holds none.

    Raises:
        InputError: the state is damaged.
    """
    return read_header(run.state) if run.state.exists() else None


def _forget_after(path: Path, step: int) -> None:
    """Drop logged steps that a killed run made after its last saved state: they will be made again."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(line + "\n" for line in kept))
    os.replace(temporary, path)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """While active, the first Ctrl-C is only noted (so that a step is never torn); a second one stops at once."""
    noted: list[bool] = []

    def note(signum: int, frame: FrameType | None) -> None:
        noted.append(True)
        signal.signal(signal.SIGINT, previous)

    try:
        previous = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: signals cannot be caught here
        yield lambda: False
        return
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, previous)
