from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from deploy_fakes import HEAD, WRIST, FakeClock, FakePlanner, FlatArm, content, write_bundle

from pvla.datasets.store import Store
from pvla.deploy.loop import ControlLoop, LoopTimes, Tick
from pvla.deploy.playback import Playback
from pvla.deploy.policy import Observation
from pvla.deploy.recorder import RunRecorder
from pvla.deploy.safety import SafetyFilter


def tick(number: int) -> Tick:
    images = {"head": np.full(HEAD, 10 * number, np.uint8), "wrist": np.full(WRIST, number, np.uint8)}
    state = np.append(np.full(6, 0.01 * number), 1.0).astype(np.float32)
    wanted = None if number == 1 else np.full(7, 0.5)
    return Tick(number, 50 + 0.1 * number, Observation(images, state, 0.0), wanted, np.full(7, 0.1 * number))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    manifest = write_bundle(tmp_path / "b").manifest
    counter = iter(range(100))
    recorder = RunRecorder(
        tmp_path / "store", manifest, "stack the bowls", "stack_bowls", lambda: {"count": np.array([next(counter)])}
    )
    for number in (0, 1, 2, 5):  # two ticks were missed
        recorder.add(tick(number))
    assert recorder.finish(True, {0: 0.1, 2: 0.3, 3: 0.9})
    return tmp_path / "store"


def test_recorder_keeps_what_happened(recorded: Path) -> None:
    episode = Store.open(recorded)[0]
    assert episode.success is True
    assert episode.task == "stack_bowls"
    np.testing.assert_allclose(episode.timestamp, [0, 0.1, 0.2, 0.5])
    np.testing.assert_allclose(episode.action[:, 0], [0, 0.1, 0.2, 0.5], atol=1e-6)
    np.testing.assert_allclose(episode.extras["predicted_progress"][:, 0], [0.1, np.nan, 0.3, np.nan], atol=1e-6)
    assert np.isnan(episode.extras["wanted"][1]).all()
    np.testing.assert_array_equal(episode.extras["count"][:, 0], [0, 1, 2, 3])  # of the moment before each command


def test_too_short_a_run_leaves_no_episode(tmp_path: Path) -> None:
    manifest = write_bundle(tmp_path / "b").manifest
    recorder = RunRecorder(tmp_path / "store", manifest, "x", None)
    recorder.add(tick(0))
    assert not recorder.finish(None, {})


def test_playback_drives_a_loop_and_keeps_its_commands(recorded: Path) -> None:
    manifest, clock = content(), FakeClock()
    playback = Playback(Store.open(recorded)[0], clock)
    seen: list[Tick] = []
    loop = ControlLoop(
        playback,
        {name: playback.camera(name) for name in ("head", "wrist")},
        FakePlanner(slope=0.0),
        SafetyFilter(manifest.limits, FlatArm(), 10.0, manifest.action_space.names),
        manifest.control,
        manifest.stop,
        LoopTimes(max_run=10),
        clock,
        stop_requested=lambda: playback.finished,
        on_tick=seen.append,
    )
    assert loop.run("stack the bowls").cause == "interrupted"
    assert [round(float(t.observation.images["head"].mean())) for t in seen] == [0, 10, 20]
    assert [round(float(t.observation.state[0]), 2) for t in seen] == [0.0, 0.01, 0.02]
    assert len(playback.commands) >= 3
