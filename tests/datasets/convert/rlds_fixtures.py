"""RLDS datasets in the exact layout of TensorFlow Datasets, with pictures that tell which frame they are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvla.datasets.convert import example, tfrecord

NAME = "tabletop_rlds"


def picture(episode: int, t: int, size: int = 32, format: str = "JPEG") -> bytes:
    """A gradient with a block that moves on with `t`; its colour is the episode's."""
    ramp = np.linspace(0, 200, size, dtype=np.uint8)
    rgb = np.stack([np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), np.full((size, size), 90)], axis=-1)
    at = t % (size - 8)
    rgb[8:16, at : at + 8] = (37 * episode % 256, 250, 20)
    buffer = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(buffer, format)
    return buffer.getvalue()


def numbers(episode: int, length: int, width: int) -> npt.NDArray[np.float32]:
    """Smooth columns (length, width) that differ from episode to episode."""
    t = np.arange(length)[:, None] / 10 + episode
    return np.sin(t * (1 + np.arange(width))).astype(np.float32)


def record(episode: int, length: int, **changes: Any) -> dict[str, example.Values]:
    """The features of one episode."""
    action, state = numbers(episode, length, 7), numbers(episode + 100, length, 3)
    flags = np.zeros(length, np.int64)
    first, last = flags.copy(), flags.copy()
    first[0], last[-1] = 1, 1
    values: dict[str, example.Values] = {
        "steps/action": action.ravel(),
        "steps/observation/state": state.ravel(),
        "steps/observation/image": [picture(episode, t) for t in range(length)],
        "steps/observation/wrist/image": [picture(episode, t, 16, "PNG") for t in range(length)],
        "steps/observation/pose": numbers(episode, length, 16).ravel(),
        "steps/language_instruction": [b"stack the bowls"] * length,
        "steps/language_embedding": np.zeros(4 * length, np.float32),
        "steps/contacts/ragged_flat_values": np.arange(length, dtype=np.int64),
        "steps/contacts/ragged_row_lengths_0": np.array([length, *[0] * (length - 1)], np.int64),
        "steps/is_first": first,
        "steps/is_last": last,
        "steps/is_terminal": last.copy(),
        "steps/reward": last.astype(np.float32),
        "steps/discount": np.ones(length, np.float32),
        "episode_metadata/file_path": [f"raw/{episode}.npy".encode()],
    }
    values.update(changes)
    return values


def features() -> dict[str, Any]:
    """`features.json` of these episodes."""
    step = {
        "action": _tensor(7),
        "observation": _dict(
            state=_tensor(3),
            image=_image("jpeg"),
            wrist=_dict(image=_image("png")),
            pose=_tensor(4, 4),
        ),
        "language_instruction": {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text", "text": {}},
        "language_embedding": _tensor(4),
        "contacts": {
            "pythonClassName": "tensorflow_datasets.core.features.sequence_feature.Sequence",
            "sequence": {"feature": _tensor(dtype="int64"), "length": "-1"},
        },
        **{name: _tensor(dtype="bool") for name in ("is_first", "is_last", "is_terminal")},
        "reward": _tensor(),
        "discount": _tensor(),
    }
    text = {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text", "text": {}}
    return _dict(
        steps={
            "pythonClassName": "tensorflow_datasets.core.features.dataset_feature.Dataset",
            "sequence": {"feature": _dict(**step), "length": "-1"},
        },
        episode_metadata=_dict(file_path=text),
    )


def make_rlds(folder: Path, lengths: list[int], per_shard: int = 4, name: str = NAME, **changes: Any) -> Path:
    """Write episodes of these lengths; returns the version's folder."""
    version = folder / "1.0.0"
    version.mkdir(parents=True)
    groups = [list(enumerate(lengths))[i : i + per_shard] for i in range(0, len(lengths), per_shard)]
    for number, group in enumerate(groups):
        records = [tfrecord.frame(example.serialize(record(i, length, **changes))) for i, length in group]
        shard = version / f"{name}-train.tfrecord-{number:05d}-of-{len(groups):05d}"
        shard.write_bytes(b"".join(records))
    split = {"name": "train", "shardLengths": [str(len(group)) for group in groups]}
    (version / "features.json").write_text(json.dumps(features()))
    (version / "dataset_info.json").write_text(json.dumps({"name": name, "version": "1.0.0", "splits": [split]}))
    return version


def _dict(**children: Any) -> dict[str, Any]:
    return {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {"features": children},
    }


def _tensor(*shape: int, dtype: str = "float32") -> dict[str, Any]:
    dimensions = {"dimensions": [str(size) for size in shape]} if shape else {}
    return {
        "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
        "tensor": {"shape": dimensions, "dtype": dtype, "encoding": "none"},
    }


def _image(encoding: str) -> dict[str, Any]:
    return {
        "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
        "image": {"shape": {"dimensions": ["-1", "-1", "3"]}, "dtype": "uint8", "encodingFormat": encoding},
    }
