from __future__ import annotations

import inspect
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))

from small import make_dataset, make_preset

from pvla.cli import train
from pvla.cli.data import demo
from pvla.cli.main import run
from pvla.core.checkpoint import read_tensors
from pvla.train.stages import NEEDS

Pvla = Callable[..., int]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # threads that wait for each other crawl on a busy machine
    torch.set_num_threads(1)
    make_dataset(tmp_path / "data" / "squares")
    make_preset(tmp_path)
    return tmp_path


def pvla_train(*arguments: object) -> int:
    return run(["train", *map(str, arguments), "--preset", "small.toml"])


def steps_logged(stage: str) -> list[int]:
    lines = Path("runs", stage, "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_every_stage_can_be_asked_for_and_all_means_all() -> None:
    assert train.PARTS["all"] == tuple(NEEDS)
    assert {stage for stages in train.PARTS.values() for stage in stages} == set(NEEDS)
    assert list(train.PARTS) == [part.value for part in train.Part]


def test_the_dataset_that_is_made_is_that_of_data_demo() -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(demo).parameters.items()}
    expected = (train.DEMONSTRATIONS, train.FAILURES, train.RECOVERIES, train.AFTERWARDS)
    assert tuple(defaults[name] for name in ("episodes", "failures", "recoveries", "afterwards")) == expected
    assert defaults["out"] == train.MADE


def test_a_stage_trains_on_the_one_dataset_and_says_where_its_checkpoint_is(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pvla_train("world-model", "--steps", 6) == 0
    printed = capsys.readouterr()
    assert "Healthy: mse well below copy" in printed.err
    assert "world-model 6/6: loss" in printed.err
    assert "mse" in printed.out
    assert "runs/world-model/checkpoint.safetensors" in printed.out
    assert Path("runs/world-model/checkpoint.safetensors").is_file()
    assert steps_logged("world-model") == list(range(1, 7))


def test_what_a_stage_builds_on_comes_first_and_a_finished_stage_is_left_alone(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pvla_train("latent-expert", "--steps", 4, "--json") == 0
    printed = capsys.readouterr()
    assert "builds on world-model, which is not trained yet" in printed.err
    stages = {row["stage"]: row for row in json.loads(printed.out)["stages"]}
    assert {name: (row["trained"], row["steps"]) for name, row in stages.items()} == {
        "world-model": (True, 30),
        "latent-expert": (True, 4),
    }
    assert stages["latent-expert"]["metrics"]["eps"] > 0
    before = Path("runs/latent-expert/checkpoint.safetensors").stat().st_mtime_ns
    assert pvla_train("latent-expert", "--steps", 4) == 0
    assert "finished already, 4 steps" in capsys.readouterr().err
    assert Path("runs/latent-expert/checkpoint.safetensors").stat().st_mtime_ns == before


def test_the_evaluator_is_two_stages_on_two(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pvla_train("evaluator", "--steps", 2, "-q") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert {path.name for path in Path("runs").iterdir()} == {"progress", "world-model", "evaluator", "fast-evaluator"}
    assert steps_logged("fast-evaluator") == [1, 2]


def test_other_steps_are_another_run_unless_fresh_which_keeps_the_old_one(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pvla_train("progress", "--steps", 3) == 0
    assert pvla_train("progress", "--steps", 5) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert "preset.train.progress.steps" in sentence
    assert "--fresh" in sentence
    assert pvla_train("progress", "--steps", 5, "--fresh") == 0
    assert pvla_train("progress", "--steps", 5, "--fresh") == 0
    kept = sorted(path.name for path in Path("runs").iterdir())
    assert kept == ["progress", "progress.old-1", "progress.old-2"]
    assert steps_logged("progress.old-1") == [1, 2, 3]


def test_a_short_part_is_built_on_but_said(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pvla_train("world-model", "--steps", 3, "-q") == 0
    assert pvla_train("action-decoder", "--steps", 2) == 0
    assert "Building on a world-model of 3 steps; the preset has 30" in capsys.readouterr().err


def test_without_data_it_is_recorded_as_data_demo_does_and_an_interruption_goes_on(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[object, ...]] = []

    def record(out: Path, *arguments: object, recoveries_per_task: int, afterwards_per_task: int) -> None:
        calls.append((out, *arguments[:3], recoveries_per_task, afterwards_per_task))
        if not out.exists():
            make_dataset(out)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("pvla.sim.demos.record_demos", record)
    Path("data/squares").rename("elsewhere")
    assert pvla_train("progress", "--steps", 2) == 130
    printed = capsys.readouterr().err
    assert "There is no dataset under data/: recording one" in printed
    assert "the same command goes on" in printed
    assert pvla_train("progress", "--steps", 2) == 0
    assert "which were interrupted" in capsys.readouterr().err
    assert calls == [(Path("data/demo"), 60, 20, 0, 20, 10)] * 2
    assert not train.UNFINISHED.exists()
    assert pvla_train("progress", "--steps", 2) == 0
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["everything"], "everything"),
        (["progress", "--steps", "0"], "--steps"),
        (["progress", "--track", "paper"], "--track"),
        (["progress", "--data", "nowhere"], "nowhere"),
        (["rl"], "rl"),
    ],
)
def test_bad_input_is_one_sentence(
    workspace: Path, arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pvla_train(*arguments) == 2
    printed = capsys.readouterr().err
    assert named in printed
    assert printed.count("\n") == 1


def test_an_unknown_preset_is_one_sentence(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "progress", "--preset", "huge"]) == 2
    assert "tiny" in capsys.readouterr().err


@pytest.mark.parametrize(("package", "arguments"), [("torch", []), ("wandb", ["--track", "wandb"])])
def test_a_missing_package_is_one_sentence_with_its_command(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
    arguments: list[str],
) -> None:
    found = train.find_spec
    monkeypatch.setattr(train, "find_spec", lambda name: None if name == package else found(name))
    assert pvla_train("progress", *arguments) == 2
    printed = capsys.readouterr().err
    assert package in printed
    assert "pip install" in printed


def test_metrics_go_to_tensorboard_when_asked(workspace: Path) -> None:
    pytest.importorskip("tensorboard")
    assert pvla_train("progress", "--steps", 2, "--track", "tensorboard", "-q") == 0
    assert list(Path("runs/progress").rglob("events.out.tfevents.*"))


def test_help_imports_no_torch() -> None:
    code = "import sys; from pvla.cli.main import run; run(['train', '--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "h5py"} & set(done.stderr.split())


def start(workspace: Path, *arguments: str) -> subprocess.Popen[str]:
    code = "from pvla.cli.main import main; main()"
    command = [sys.executable, "-c", code, "train", "world-model", "--preset", "small.toml", *arguments]
    return subprocess.Popen(command, cwd=workspace, stderr=subprocess.PIPE, text=True)


def wait_for_step(metrics: Path, step: int, process: subprocess.Popen[str]) -> None:
    while not (metrics.exists() and len(metrics.read_text().splitlines()) >= step):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.002)


@pytest.mark.slow
def test_killed_at_a_random_step_it_goes_on_to_the_last_printed_digit(workspace: Path) -> None:
    runs = {name: workspace / name / "world-model" for name in ("whole", "killed")}
    assert start(workspace, "--runs", "whole", "--steps", "300").wait() == 0
    wanted = (runs["whole"] / "metrics.jsonl").read_text()
    assert len(wanted.splitlines()) == 300
    step = random.randint(10, 150)
    killed = start(workspace, "--runs", "killed", "--steps", "300")
    wait_for_step(runs["killed"] / "metrics.jsonl", step, killed)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL, f"it had finished before step {step} was seen"
    resumed = start(workspace, "--runs", "killed", "--steps", "300")
    assert resumed.stderr is not None
    assert "goes on from step" in resumed.stderr.read()
    assert resumed.wait() == 0
    assert (runs["killed"] / "metrics.jsonl").read_text() == wanted
    whole, again = (read_tensors(runs[name] / "checkpoint.safetensors")[0] for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.slow
def test_ctrl_c_saves_exits_with_130_and_goes_on(workspace: Path) -> None:
    metrics = workspace / "runs/world-model/metrics.jsonl"
    process = start(workspace, "--steps", "400")
    wait_for_step(metrics, 7, process)
    os.kill(process.pid, signal.SIGINT)
    assert process.stderr is not None
    last = process.stderr.read().splitlines()[-1]
    assert process.wait() == 130
    saved = len(metrics.read_text().splitlines())
    assert last == (
        f"Interrupted: world-model is saved at step {saved} in runs/world-model; the same command goes on from there."
    )
    resumed = start(workspace, "--steps", "400")
    assert resumed.stderr is not None
    assert f"goes on from step {saved}" in resumed.stderr.read()
    assert resumed.wait() == 0
    assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()] == list(range(1, 401))


def test_the_demo_script_trains_every_part_by_its_name() -> None:
    script = (Path(__file__).parents[2] / "scripts" / "train_demo.sh").read_text()
    trained = set(re.findall(r"^train ([\w-]+)", script, re.MULTILINE))
    assert trained == set(train.PARTS) - {"all"}
