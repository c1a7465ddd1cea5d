from __future__ import annotations

import torch
from wake import wake

from pvla.core.config import Preset
from pvla.core.progress import ProgressEstimator


def test_progress_lies_between_0_and_1_and_reusing_the_context_changes_nothing(preset: Preset, make_batch) -> None:
    part, b = wake(ProgressEstimator(preset)), make_batch(6)
    p = part(b.text, b.start, b.now)
    assert p.shape == (6,)
    assert ((p >= 0) & (p <= 1)).all()
    context = part.start_context(b.text, b.start)
    for frame in (b.now, b.later):
        torch.testing.assert_close(part.progress(context, frame), part(b.text, b.start, frame))


def test_progress_depends_on_all_that_it_is_shown(preset: Preset, make_batch) -> None:
    part, b = wake(ProgressEstimator(preset)), make_batch(4)
    inputs = [x.clone().requires_grad_() for x in (b.text, b.start, b.now)]
    part(*inputs).sum().backward()
    for x in inputs:
        assert (x.grad.abs().amax(-1) > 0).all()  # every token of every row


def test_rows_do_not_mix(preset: Preset, make_batch) -> None:
    part, b = wake(ProgressEstimator(preset)), make_batch(4)
    torch.testing.assert_close(part(b.text, b.start, b.now)[2:3], part(b.text[2:3], b.start[2:3], b.now[2:3]))


def test_dropout_is_for_training_only(preset: Preset, make_batch) -> None:
    part, b = ProgressEstimator(preset), make_batch(4)
    assert not torch.equal(part(b.text, b.start, b.now), part(b.text, b.start, b.now))
    part.eval()
    assert torch.equal(part(b.text, b.start, b.now), part(b.text, b.start, b.now))
