"""Pre-training of the small encoders that preset `tiny` keeps frozen afterwards."""

from __future__ import annotations

import string
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from pvla.core.checkpoint import Card, save_part
from pvla.core.config import Preset
from pvla.core.pretext import InstructionPretext, ScenePretext
from pvla.core.text import TextEncoder, build_text
from pvla.core.vision import VisionEncoder, build_vision
from pvla.datasets.splits import split_episodes
from pvla.datasets.store import Episode, Store
from pvla.errors import InputError

Report = Callable[[str, int, int, dict[str, float]], None]
PAD, UNKNOWN = "[PAD]", "[UNK]"
LETTERS = string.ascii_lowercase + string.digits


class Pictures:
    """All pictures of a dataset in memory, with where everything was: rows of every camera, and targets (n, m)."""

    def __init__(self, store: Store, cameras: list[str]) -> None:
        episodes = [e for e in split_episodes(store, "train") if "objects" in e.extras]
        if not episodes:
            raise InputError("The dataset has no 'objects' column; encoders are pre-trained on simulated data.")
        with ThreadPoolExecutor(2) as pool:
            self.images = {
                camera: np.concatenate(list(pool.map(Episode.images, episodes, [camera] * len(episodes))))
                for camera in cameras
            }
        columns = [np.concatenate([e.extras["objects"], e.extras["tcp"]], axis=1) for e in episodes]
        self.targets: NDArray[np.float32] = np.concatenate(columns).astype(np.float32)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, rows: NDArray[np.int64]) -> tuple[dict[str, Tensor], Tensor]:
        """Pictures u8 by camera and targets of some rows."""
        images = {c: torch.from_numpy(x[rows]) for c, x in self.images.items()}
        return images, torch.from_numpy(self.targets[rows])


def pretrain_vision(
    preset: Preset, store: Store, out: Path, steps: int, batch: int, seed: int, report: Report
) -> VisionEncoder:
    """Train the vision encoder on a simulated dataset's frames and write its checkpoint."""
    pictures = Pictures(store, [c.name for c in preset.vision.cameras])
    torch.manual_seed(seed)
    encoder = build_vision(preset.vision)
    pretext = ScenePretext(preset, encoder, pictures.targets.shape[1])
    pretext.standardise_by(torch.from_numpy(pictures.targets))
    rng = np.random.default_rng(seed)

    def draw(_: int) -> tuple[dict[str, Tensor], Tensor]:
        return pictures.batch(np.sort(rng.integers(0, len(pictures), batch)))

    metrics = _train(pretext, draw, steps, 1e-3, lambda s, m: report("vision", s, steps, m))
    _save(out / "vision.safetensors", encoder, "vision", preset, steps, seed, store, metrics)
    return encoder


def pretrain_text(
    preset: Preset, store: Store, out: Path, steps: int, batch: int, seed: int, report: Report
) -> TextEncoder:
    """Train tokenizer and text encoder on a dataset's instructions and write `tokenizer.json` and its checkpoint."""
    sentences = [(text, i) for i, task in enumerate(store.info.tasks) for text in task.instructions]
    tokenizer = train_tokenizer([text for text, _ in sentences], preset.text.vocabulary, preset.text.tokens)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    encoder = build_text(preset.text)
    pretext = InstructionPretext(encoder, preset.text.width, len(store.info.tasks))
    by_task = [[text for text, t in sentences if t == i] for i in range(len(store.info.tasks))]

    def draw(_: int) -> tuple[Tensor, Tensor]:
        tasks = rng.integers(0, len(by_task), batch)
        texts = [garble(by_task[t][rng.integers(len(by_task[t]))], rng) for t in tasks]
        ids = np.array([e.ids for e in tokenizer.encode_batch(texts)], dtype=np.int64)
        return torch.from_numpy(ids), torch.from_numpy(tasks)

    metrics = _train(pretext, draw, steps, 1e-3, lambda s, m: report("text", s, steps, m))
    _save(out / "text.safetensors", encoder, "text", preset, steps, seed, store, metrics)
    return encoder


def train_tokenizer(texts: list[str], vocabulary: int, length: int) -> Tokenizer:
    """A WordPiece tokenizer of our instructions; unknown words fall apart into pieces and, at worst, characters.

    Raises:
        InputError: the vocabulary has no room for the characters alone.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, UNKNOWN],
        initial_alphabet=list(LETTERS + string.punctuation),
        min_frequency=2,
    )
    # The trainer knows an inner letter ("##q") only if some word has it.
    tokenizer.train_from_iterator([*texts, *("a" + letter for letter in LETTERS)], trainer)
    if tokenizer.get_vocab_size() > vocabulary:
        raise InputError(f"A vocabulary of {vocabulary} does not hold all characters: give the preset at least 160.")
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_id=0, pad_token=PAD)
    return tokenizer


FILLERS = ("please", "now", "kindly", "robot", "okay", "just", "carefully", "slowly", "for", "me", "thanks", "right")
ENDINGS = ("", "", ".", "!", "?")


def garble(text: str, rng: np.random.Generator) -> str:
    """Drop, replace, swap, insert and punctuate words at random: no single word and no order is needed to understand.

    Half of the sentences lose few words, the others up to half of them: of a wording never heard before, often only
    the objects' names are known. Two true words are always left.
    """
    loss = 0.12 if rng.random() < 0.5 else rng.uniform(0.0, 0.5)
    words = [_odd_word(rng) if rng.random() < 0.5 * loss else w for w in text.split() if rng.random() > 0.5 * loss]
    if sum(w in text.split() for w in words) < 2:
        words = text.split()
    if len(words) > 2 and rng.random() < 0.2:
        i = rng.integers(len(words) - 1)
        words[i], words[i + 1] = words[i + 1], words[i]
    while rng.random() < 0.25:
        words.insert(int(rng.integers(len(words) + 1)), _odd_word(rng))
    if rng.random() < 0.3:
        words[int(rng.integers(len(words)))] += ","
    return " ".join(words) + str(rng.choice(ENDINGS))


def _odd_word(rng: np.random.Generator) -> str:
    """A filler, or letters that mean nothing: what an unknown word looks like to the tokenizer."""
    if rng.random() < 0.5:
        return str(rng.choice(FILLERS))
    return "".join(chr(ord("a") + int(c)) for c in rng.integers(0, 26, rng.integers(3, 8)))


def _train(
    module: torch.nn.Module,
    draw: Callable[[int], tuple[object, Tensor]],
    steps: int,
    lr: float,
    report: Callable[[int, dict[str, float]], None],
) -> dict[str, float]:
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.08)
    recent: list[dict[str, float]] = []
    module.train()
    for step in range(steps):
        loss, values = module(*draw(step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent = [*recent[-49:], {k: float(v) for k, v in values.items()}]
        report(step + 1, recent[-1])
    module.eval()
    return {k: float(np.mean([r[k] for r in recent])) for k in recent[0]}


def _save(
    path: Path,
    part: torch.nn.Module,
    stage: str,
    preset: Preset,
    steps: int,
    seed: int,
    store: Store,
    metrics: dict[str, float],
) -> None:
    part.half().float()  # what is shipped is float16; features must be those of the rounded weights
    card = Card(
        stage=stage,
        preset=preset.model_dump(mode="json"),
        step=steps,
        seed=seed,
        data=store.content_hash(),
        metrics=metrics,
        command=" ".join(["python", f"scripts/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
    )
    save_part(path, part, card, half=True)
