from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from small import TASKS, WIDTH32, load, make_dataset

from pvla.core.checkpoint import load_card
from pvla.datasets.splits import split_episodes
from pvla.errors import InputError
from pvla.train.encoders import load_encoders
from pvla.train.pretrain import Pictures, garble, pretrain_text, pretrain_vision, train_tokenizer


def test_pretrained_encoders_are_what_load_encoders_wants(tmp_path: Path) -> None:
    preset, store = load(WIDTH32), make_dataset(tmp_path / "data")
    out, told = tmp_path / "encoders", []
    pretrain_text(preset, store, out, 12, 8, 0, lambda *report: told.append(report))
    vision = pretrain_vision(preset, store, out, 12, 8, 0, lambda *report: told.append(report))
    assert [(what, step) for what, step, _, _ in told] == [(w, i + 1) for w in ("text", "vision") for i in range(12)]
    sources = {name: getattr(preset, name).model_copy(update={"source": str(out)}) for name in ("vision", "text")}
    encoders = load_encoders(preset.model_copy(update=sources))
    for name, tensor in vision.state_dict().items():  # what is shipped is what was used
        np.testing.assert_array_equal(encoders.vision.state_dict()[name], tensor)
    assert load_card(out / "vision.safetensors").metrics["metres"] > 0


def test_held_out_episodes_are_held_out_from_the_encoders_too(tmp_path: Path) -> None:
    store = make_dataset(tmp_path / "data")
    frames = sum(episode.length for episode in split_episodes(store, "train"))
    pictures = Pictures(store, ["head", "wrist"])
    assert len(pictures) == frames < store.frames
    images, targets = pictures.batch(np.array([0, 3]))
    assert images["wrist"].shape == (2, 16, 16, 3)
    assert targets.shape == (2, 5)


def test_data_without_positions_cannot_teach_an_encoder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="objects"):
        Pictures(make_dataset(tmp_path / "data", 0, 0), ["head"])


def test_a_word_never_heard_falls_apart_into_pieces_that_were() -> None:
    tokenizer = train_tokenizer([text for texts in TASKS.values() for text in texts], 160, 6)
    tokens = tokenizer.encode("Lefthest").tokens
    assert tokens[0] == "left"
    assert "[UNK]" not in tokens
    assert len(tokens) == 6


def test_marks_and_strange_letters_are_known_too() -> None:
    tokenizer = train_tokenizer([text for texts in TASKS.values() for text in texts], 160, 16)
    assert "[UNK]" not in tokenizer.encode("Left, right. (7x zq)!").tokens


def test_a_vocabulary_without_room_for_the_characters_is_refused() -> None:
    with pytest.raises(InputError, match="at least 160"):
        train_tokenizer(["go left"], 96, 6)


def test_garbled_sentences_keep_two_words_and_depend_on_the_generator_alone() -> None:
    text = "go to the left"
    several = [garble(text, np.random.default_rng(seed)) for seed in range(50)]
    assert several == [garble(text, np.random.default_rng(seed)) for seed in range(50)]
    assert len(set(several)) > 20
    bare = [re.findall(r"[a-z]+", garbled) for garbled in several]
    assert all(sum(word in text.split() for word in words) >= 2 for words in bare)
