"""The training stages: each says which part it trains, its loss, and what healthy numbers look like."""

from __future__ import annotations

from pvla.core.stages.action_decoder import ActionDecoderStage
from pvla.core.stages.base import Metrics, Stage
from pvla.core.stages.evaluator import EvaluatorStage
from pvla.core.stages.fast_evaluator import FastEvaluatorStage
from pvla.core.stages.latent_expert import LatentExpertStage
from pvla.core.stages.progress import ProgressStage
from pvla.core.stages.world import WorldStage

__all__ = [
    "ActionDecoderStage",
    "EvaluatorStage",
    "FastEvaluatorStage",
    "LatentExpertStage",
    "Metrics",
    "ProgressStage",
    "Stage",
    "WorldStage",
]
