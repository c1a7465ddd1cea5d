"""Sizes and settings of every part, read from a preset (`pvla/presets/*.toml`) and kept in every checkpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """Immutable settings; a key that is not known is an error, so that a typing mistake is not silent."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CameraConfig(Config):
    """One camera as the encoder sees it: name and picture size in pixels."""

    name: str
    size: int


class VisionConfig(Config):
    """The frozen vision encoder.

    `tiny_vit` is our own, pre-trained on the simulator's frames; `dinov2` is loaded by name or from a local folder.
    `patches` counts the tokens of one view after merging; a stage is (tokens' width, blocks).
    """

    kind: Literal["tiny_vit", "dinov2"]
    cameras: tuple[CameraConfig, ...]
    patches: int
    width: int
    source: str = ""
    stem_patch: dict[str, int] = Field(default_factory=dict)
    stages: dict[str, tuple[tuple[int, int], ...]] = Field(default_factory=dict)


class TextConfig(Config):
    """The frozen text encoder: `tiny_text` is ours, `clip` is loaded by name or from a local folder."""

    kind: Literal["tiny_text", "clip"]
    tokens: int
    width: int
    source: str = ""
    depth: int = 2
    heads: int = 4
    vocabulary: int = 1024


class ProgressConfig(Config):
    """Progress estimator P (paper, App. A-A)."""

    width: int
    depth: int
    heads: int
    hidden: int
    dropout: float = 0.1


class WorldConfig(Config):
    """World model: inverse dynamics E and forward dynamics D (paper, App. A-B).

    `gap` is N in frames. With `vq` the policy sees the quantised latent, else the posterior mean.
    """

    width: int
    encoder_depth: int
    decoder_depth: int
    heads: int
    latent_tokens: int
    latent_dim: int
    gap: int
    kl_weight: float
    vq: bool
    codes: int = 16
    commitment: float = 0.25


class FastEvaluatorConfig(Config):
    """The student of the evaluator: sizes of its context summary and of its residual MLP."""

    context: int
    width: int
    depth: int


class DenoiserConfig(Config):
    """A Llama-style causal denoiser (paper, App. A-D).

    The prefix is [text][visual][state]; the suffix is [condition][τ][noisy tokens]. `text_tokens = 0` keeps every text
    token, otherwise they are compressed to so many; `visual_tokens` is per view. The `linear` compressor mixes the
    flattened grid of a view (two CPU cores can afford it), `queries` is the paper's cross-attention of learned queries.
    `group` noisy rows share one token; 1 is the paper's.
    """

    width: int
    depth: int
    heads: int
    mlp: int
    text_tokens: int
    visual_tokens: int
    compressor: Literal["queries", "linear"]
    bottleneck: int = 32
    group: int = 1
    state_noise: float = 0.03
    dropout: float = 0.0


class ScheduleConfig(Config):
    """Variance-preserving noise schedule; `clip` bounds the predicted clean sample inside a DDIM step."""

    steps: int
    kind: Literal["linear", "squared_cosine"]
    beta_start: float = 1e-4
    beta_end: float = 0.02
    clip: float


class ActionConfig(Config):
    """Robot side: widths of action and state, chunk length, and which action dimensions are relative to the state."""

    horizon: int
    width: int
    state: int
    relative: tuple[bool, ...]

    @model_validator(mode="after")
    def _one_flag_per_dimension(self) -> ActionConfig:
        if len(self.relative) != self.width:
            raise ValueError(f"actions.relative has {len(self.relative)} flags for {self.width} action dimensions")
        return self


class TrainConfig(Config):
    """How one stage is trained: AdamW, warm-up then cosine to `final_lr` of the peak, gradient clip, EMA of weights.

    `draws` noise samples share each observation of the batch (they share its prefix, which is most of the work).
    `feature_noise` is added to the frames that P is trained on, in units of each feature's spread over the batch: P
    otherwise learns a few hundred scenes by heart, and how long each of them took.
    """

    steps: int
    batch: int
    lr: float
    warmup: int
    weight_decay: float = 0.01
    final_lr: float = 0.05
    clip: float = 1.0
    ema: float = 0.999
    draws: int = 1
    feature_noise: float = 0.0
    checkpoint_every: int = 200
    log_every: int = 20
    precision: Literal["float32", "bfloat16", "float16"] = "float32"


class Preset(Config):
    """Everything that defines a ProgressVLA: the parts, the schedules and how each stage is trained."""

    name: str
    vision: VisionConfig
    text: TextConfig
    actions: ActionConfig
    progress: ProgressConfig
    world: WorldConfig
    fast_evaluator: FastEvaluatorConfig
    latent_expert: DenoiserConfig
    action_decoder: DenoiserConfig
    latent_schedule: ScheduleConfig
    action_schedule: ScheduleConfig
    train: dict[str, TrainConfig]

    @property
    def views(self) -> int:
        """Number of cameras."""
        return len(self.vision.cameras)

    @property
    def patches(self) -> int:
        """P: patches of all views together."""
        return self.views * self.vision.patches
