"""Every row of the table on its stated convention, with small arrays whose answer is worked out by hand."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pvla.datasets.convert.conversion import convert
from pvla.datasets.convert.oxe.actions import Columns
from pvla.datasets.convert.oxe.table import ROWS, OxeRow, Standardised, row_for
from pvla.datasets.convert.source import Choices, Damaged
from pvla.datasets.store import Store

Arrays = dict[str, npt.NDArray[Any]]
MOVE = [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06], [0.07, 0.08, 0.09]]
TURN = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]
POSE = np.hstack([MOVE, TURN])
QUARTER = [0, 0, math.sin(math.pi / 4), math.cos(math.pi / 4)]
"""A quarter turn about z, as x, y, z, w."""


def packed(**more: Any) -> Arrays:
    """Steps whose action is a group, with what `more` adds to it."""
    action = {"world_vector": MOVE, "rotation_delta": TURN, **more}
    return {f"action/{key}": np.array(value) for key, value in action.items()}


def flat(width: int, gripper: list[float], column: int = 6) -> Arrays:
    """Steps whose action is one array that counts, in units of 0.01, but for the gripper's column."""
    action = np.arange(3 * width, dtype=np.float32).reshape(3, width) / 100
    action[:, column] = gripper
    return {"action": action}


def state(key: str, width: int) -> Arrays:
    return {f"observation/{key}": np.arange(3 * width, dtype=np.float32).reshape(3, width)}


def counting(*columns: int, width: int, divisor: float = 1.0) -> npt.NDArray[np.float64]:
    """These columns of an array (3, width) that counts."""
    return np.arange(3 * width).reshape(3, width)[:, list(columns)] / divisor


def applied(name: str, steps: Arrays) -> Standardised:
    row = row_for(name)
    assert row is not None
    return row.apply(steps)


def check(result: Standardised, pose: Any, gripper: list[float], state_rows: Any = None) -> None:
    np.testing.assert_allclose(result.action[:, :6], pose, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(result.action[:, 6], gripper, rtol=1e-6)
    if state_rows is None:
        assert result.state is None
    else:
        assert result.state is not None
        np.testing.assert_allclose(result.state, state_rows, rtol=1e-6)


def test_fractal_closes_at_plus_one_and_keeps() -> None:
    steps = packed(gripper_closedness_action=[[0.0], [1.0], [0.0]])
    steps |= state("base_pose_tool_reached", 7) | {"observation/gripper_closed": np.array([[0.0], [0.5], [1.0]])}
    expected = np.column_stack([counting(*range(7), width=7), [0, 0.5, 1]])
    check(applied("fractal20220817_data", steps), POSE, [1, 0, 0], expected)


def test_kuka_has_no_state() -> None:
    check(applied("kuka", packed(gripper_closedness_action=[[0.0], [-1.0], [0.0]])), POSE, [0, 1, 1])


@pytest.mark.parametrize("name", ["bridge_orig", "bridge_dataset"])
def test_bridge_is_relabelled_by_the_reached_pose(name: str) -> None:
    pose = np.array([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [3, 0, 0, 0.5, 0, 0], [3, 4, 0, 0.5, 0, 0]], float)
    action = np.full((4, 7), 99.0)
    action[:, 6] = [1, 1, 0.5, 0]
    steps = {"action": action, "observation/state": np.column_stack([pose, [1, 0.9, 0.4, 0.1]])}
    result = applied(name, steps)
    # step 1 reaches what step 2 shows; the gripper of step 2 is on its way to closed
    expected = [[2, 0, 0, 0.5, 0, 0], [0, 4, 0, 0, 0, 0]]
    check(result, expected, [1, 0], steps["observation/state"][1:3])
    assert result.keep.tolist() == [False, True, True, False]
    assert len(result.notes) == 1


@pytest.mark.parametrize("name", ["bridge_oxe", "bridge"])
def test_bridge_of_the_first_release_has_a_flag_for_the_gripper(name: str) -> None:
    steps = packed(open_gripper=[False, True, False]) | state("state", 7)
    result = applied(name, steps)
    check(result, [[7, 7, 7, 7 - 2 * math.pi, 7 - 2 * math.pi, 7 - 2 * math.pi]], [1], [[7, 8, 9, 10, 11, 12, 13]])
    assert result.keep.tolist() == [False, True, False]


@pytest.mark.parametrize("length", [1, 2])
def test_too_short_for_relabelling_leaves_nothing(length: int) -> None:
    steps = {"action": np.zeros((length, 7)), "observation/state": np.zeros((length, 7))}
    result = applied("bridge_orig", steps)
    assert result.action.shape == (0, 7)
    assert not result.keep.any()


@pytest.mark.parametrize("suite", ["spatial", "object", "goal", "10"])
def test_libero_opens_at_minus_one(suite: str) -> None:
    steps = flat(7, [-1, 1, 0]) | state("state", 8)
    pose = counting(0, 1, 2, 3, 4, 5, width=7, divisor=100)
    check(applied(f"libero_{suite}_no_noops", steps), pose, [1, 0, 1], steps["observation/state"])


def test_taco_takes_the_relative_actions_in_the_world() -> None:
    action = np.column_stack([POSE, [-1, 1, 0]])
    steps = {"action/rel_actions_world": action, "action/actions": action + 5} | state("robot_obs", 15)
    check(applied("taco_play", steps), POSE, [0, 1, 0], counting(*range(7), width=15))


def test_jaco_does_not_turn() -> None:
    steps = packed(gripper_closedness_action=[[1.0], [0.0], [-1.0]]) | state("end_effector_cartesian_pos", 7)
    del steps["action/rotation_delta"]
    pose = np.hstack([MOVE, np.zeros((3, 3))])
    check(applied("jaco_play", steps), pose, [0, 0, 1], counting(*range(7), width=7))


def test_cable_routing_has_no_gripper() -> None:
    result = applied("berkeley_cable_routing", packed() | state("robot_state", 7))
    check(result, POSE, [0, 0, 0], counting(*range(7), width=7))
    assert row_for("berkeley_cable_routing").kind == "eef_velocity"  # type: ignore[union-attr]


def test_roboturk_and_viola_say_how_closed_it_is() -> None:
    check(applied("roboturk", packed(gripper_closedness_action=[[-1.0], [0.25], [1.0]])), POSE, [1, 0.75, 0])
    steps = packed(gripper_closedness_action=[-1.0, 0.0, 1.0]) | state("joint_states", 7) | state("gripper_states", 1)
    expected = np.hstack([counting(*range(7), width=7), counting(0, width=1)])
    check(applied("viola", steps), POSE, [1, 1, 0], expected)


def test_ur5_takes_pose_and_gripper_of_the_state() -> None:
    steps = packed(gripper_closedness_action=[0.0, 1.0, -1.0]) | state("robot_state", 15)
    check(applied("berkeley_autolab_ur5", steps), POSE, [1, 0, 1], counting(*range(6, 14), width=15))


def test_toto_has_a_flag() -> None:
    steps = packed(open_gripper=[True, False, True]) | state("state", 7)
    check(applied("toto", steps), POSE, [1, 0, 1], counting(*range(7), width=7))


def test_bc_z_takes_the_first_of_ten_actions() -> None:
    steps = {
        "action/future/xyz_residual": np.arange(90).reshape(3, 30),
        "action/future/axis_angle_residual": np.arange(90).reshape(3, 30) + 0.5,
        "action/future/target_close": np.array([[0] * 10, [1] + [0] * 9, [0] + [1] * 9]),
    }
    steps |= state("present/xyz", 3) | state("present/axis_angle", 3) | state("present/sensed_close", 1)
    pose = np.hstack([counting(0, 1, 2, width=30), counting(0, 1, 2, width=30) + 0.5])
    expected = np.hstack([counting(0, 1, 2, width=3), counting(0, 1, 2, width=3), counting(0, width=1)])
    check(applied("bc_z", steps), pose, [1, 0, 1], expected)


def test_droid_commands_velocities_and_how_closed_it_is() -> None:
    steps = {"action": np.full((3, 7), 99.0), "action_dict/cartesian_velocity": POSE}
    steps |= {"action_dict/gripper_position": np.array([[0.0], [0.3], [1.0]])}
    steps |= state("cartesian_position", 6) | state("gripper_position", 1)
    expected = np.hstack([counting(*range(6), width=6), counting(0, width=1)])
    check(applied("droid", steps), POSE, [1, 0.7, 0], expected)
    assert row_for("droid").kind == "eef_velocity"  # type: ignore[union-attr]


def test_language_table_moves_in_a_plane() -> None:
    steps = {"action": np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])} | state("effector_translation", 2)
    pose = [[0.1, 0.2, 0, 0, 0, 0], [0.3, 0.4, 0, 0, 0, 0], [0.5, 0.6, 0, 0, 0, 0]]
    check(applied("language_table", steps), pose, [1, 1, 1], counting(0, 1, width=2))


def test_hydra_s_state_is_picked_from_27_columns() -> None:
    steps = flat(7, [0, 1, 1]) | state("state", 27)
    pose = counting(0, 1, 2, 3, 4, 5, width=7, divisor=100)
    expected = counting(0, 1, 2, 7, 8, 9, 24, width=27)
    check(applied("stanford_hydra_dataset_converted_externally_to_rlds", steps), pose, [1, 0, 0], expected)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("austin_buds_dataset_converted_externally_to_rlds", 24),
        ("austin_sailor_dataset_converted_externally_to_rlds", 8),
        ("austin_sirius_dataset_converted_externally_to_rlds", 8),
        ("utaustin_mutex", 24),
    ],
)
def test_austin_closes_at_plus_one(name: str, width: int) -> None:
    steps = flat(7, [-1, 1, 0.5]) | state("state", width)
    pose = counting(0, 1, 2, 3, 4, 5, width=7, divisor=100)
    check(applied(name, steps), pose, [1, 0, 0.5], counting(*range(8), width=width))


def test_nyu_play_has_joint_velocities_first() -> None:
    steps = flat(15, [-1, 0.5, 1], column=13) | state("state", 13)
    pose = counting(*range(7, 13), width=15, divisor=100)
    name = "nyu_franka_play_dataset_converted_externally_to_rlds"
    check(applied(name, steps), pose, [0, 0.5, 1], counting(*range(7, 13), width=13))


def test_furniture_bench_s_quaternion_becomes_angles() -> None:
    steps = flat(8, [-1, 1, 1], column=7) | state("state", 35)
    steps["action"][:, 3:7] = QUARTER
    pose = np.hstack([counting(0, 1, 2, width=8, divisor=100), [[0, 0, math.pi / 2]] * 3])
    name = "furniture_bench_dataset_converted_externally_to_rlds"
    check(applied(name, steps), pose, [1, 0, 0], counting(*range(7), 34, width=35))


def test_iamlab_s_pose_has_a_quaternion() -> None:
    steps = flat(8, [0, 1, 0], column=7) | state("state", 20)
    steps["action"][:, 3:7] = QUARTER
    pose = np.hstack([counting(0, 1, 2, width=8, divisor=100), [[0, 0, math.pi / 2]] * 3])
    name = "iamlab_cmu_pickup_insert_converted_externally_to_rlds"
    check(applied(name, steps), pose, [0, 1, 0], counting(*range(8), width=20))
    assert row_for(name).kind == "eef_pose"  # type: ignore[union-attr]


def test_ucsd_kitchen_and_stretch_end_with_a_flag_for_the_episode_s_end() -> None:
    steps = flat(8, [0, 1, 1])
    pose = counting(0, 1, 2, 3, 4, 5, width=8, divisor=100)
    name = "ucsd_kitchen_dataset_converted_externally_to_rlds"
    check(applied(name, steps | state("state", 21)), pose, [0, 1, 1], counting(*range(7), width=21))
    check(applied("cmu_stretch", steps | state("state", 4)), pose, [0, 1, 1], counting(*range(4), width=4))


def test_edan_closes_at_one() -> None:
    steps = flat(7, [0, 1, 1]) | state("state", 7)
    pose = counting(0, 1, 2, 3, 4, 5, width=7, divisor=100)
    name = "dlr_edan_shared_control_converted_externally_to_rlds"
    check(applied(name, steps), pose, [1, 0, 0], counting(*range(7), width=7))


def test_fanuc_takes_the_gripper_from_the_state() -> None:
    steps = {"action": POSE} | state("state", 13)
    steps["observation/state"][:, 6] = [0, 1, 1]
    check(applied("berkeley_fanuc_manipulation", steps), POSE, [1, 0, 0], steps["observation/state"][:, :7])


@pytest.mark.parametrize("name", ["fmb_dataset", "fmb"])
def test_fmb_is_as_recorded(name: str) -> None:
    steps = flat(7, [0, 1, 1]) | state("eef_pose", 7) | {"observation/state_gripper_pose": np.array([0.1, 0.2, 0.3])}
    expected = np.column_stack([counting(*range(7), width=7), [0.1, 0.2, 0.3]])
    check(applied(name, steps), counting(0, 1, 2, 3, 4, 5, width=7, divisor=100), [0, 1, 1], expected)


def test_dobbe_is_as_recorded() -> None:
    steps = flat(7, [0, 0.5, 1]) | state("state", 7)
    pose = counting(0, 1, 2, 3, 4, 5, width=7, divisor=100)
    check(applied("dobbe", steps), pose, [0, 0.5, 1], counting(*range(7), width=7))
    assert row_for("dobbe").rate_hz is None  # type: ignore[union-attr]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_whole(row: OxeRow) -> None:
    space = row.action_space(row.rate_hz or 10.0)
    assert len(space.names) == len(space.units) == 7
    assert space.names[-1] == "gripper"
    assert (space.gripper == "1 = open, 0 = closed") == row.open_is_one
    assert len(set(row.state_names)) == len(row.state_names)
    assert bool(row.state) == bool(row.state_names)
    assert row.gripper
    assert pickle.loads(pickle.dumps(row)) == row  # worker processes get it
    assert row_for(row.name) is row


def test_real_bridge_is_relabelled_by_its_own_states(tmp_path: Path) -> None:
    shared = Path(os.environ.get("PVLA_SHARED_DATA", Path(__file__).parents[4] / ".." / "shared" / "data"))
    if not (shared / "rlds_bridge").is_dir():
        pytest.skip("the real sample shared/data/rlds_bridge is not here")
    choices = Choices(action="next-state")
    convert(shared / "rlds_bridge", tmp_path / "out", workers=0, format="rlds", choices=choices)
    with Store.open(tmp_path / "out") as store:
        for episode in store:
            assert episode.length == 8  # of 10 steps
            np.testing.assert_allclose(episode.action[:-1, :3], np.diff(episode.state[:, :3], axis=0), atol=1e-6)
            assert set(np.unique(episode.action[:, 6])) <= {0.0, 1.0}


def test_names_are_of_one_row_each() -> None:
    names = [name for row in ROWS for name in (row.name, *row.aliases)]
    assert len(set(names)) == len(names)
    assert row_for("my_own_dataset") is None


def test_what_an_episode_lacks_is_named() -> None:
    with pytest.raises(Damaged, match="no observation/state"):
        applied("toto", packed(open_gripper=[True, False, True]))
    with pytest.raises(Damaged, match="no numeric action"):
        applied("toto", state("state", 7))
    with pytest.raises(Damaged, match="no action/open_gripper"):
        applied("toto", packed() | state("state", 7))


def test_other_widths_are_refused() -> None:
    with pytest.raises(Damaged, match="Its state has 6 columns where toto has 7"):
        applied("toto", packed(open_gripper=[True, False, True]) | state("state", 6))
    with pytest.raises(Damaged, match="Its action has 6 columns where dobbe has 7"):
        applied("dobbe", flat(6, [0, 0, 0], column=5) | state("state", 7))
    with pytest.raises(Damaged, match="2 rows of observation/state for 3 steps"):
        applied("toto", packed(open_gripper=[True, False, True]) | {"observation/state": np.zeros((2, 7))})


def columns_of(part: Any) -> list[Columns]:
    """The recorded columns that a part is made of."""
    return [part] if isinstance(part, Columns) else columns_of(part.source) if hasattr(part, "source") else []


def random_steps(row: OxeRow, rng: np.random.Generator, length: int = 6) -> Arrays:
    """Arrays with everything that a row reads; values from 0 to 1, as wide as its last column asks for."""
    widths: dict[str, int] = {"action": 7}
    free = {"observation/end_effector_cartesian_pos": 7, "observation/robot_state": 15 if "ur5" in row.name else 7}
    for column in [column for part in (*row.action, *row.state) for column in columns_of(part)]:
        known = 3 if column.key.endswith(("world_vector", "rotation_delta")) else column.stop
        widths[column.key] = max(widths.get(column.key, 0), known or free.get(column.key, 1))
    whole = [part.key for part in row.state if isinstance(part, Columns) and part.stop is None and part.start == 0]
    for key in whole:
        named = len(row.state_names) - sum(widths[other] for other in whole if other != key)
        widths[key] = named if len(row.state) == 1 else widths[key]
    return {key: rng.uniform(0, 1, (length, width)) for key, width in widths.items()}


SIMPLE = [row for row in ROWS if len(row.state) < 2]


@pytest.mark.parametrize("row", SIMPLE, ids=lambda row: row.name)
def test_grippers_stay_between_0_and_1(row: OxeRow) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        result = row.apply(random_steps(row, rng))
        assert np.isfinite(result.action).all()
        assert result.action.dtype == np.float32
        assert ((result.action[:, 6] >= 0) & (result.action[:, 6] <= 1)).all()
        assert len(result.action) == result.keep.sum()
