"""The method of ProgressVLA in torch: models, diffusion, guidance and the losses of every training stage.

Symbols, used throughout: B batch, P patches of all views together, D feature width, L text tokens, K latent tokens,
Z latent width, H action horizon, A action width, S state width, τ diffusion step, N frames between o_t and o_{t+N}.
F_t is the (B, P, D) feature map of o_t. Equation numbers are those of the ProgressVLA paper.
"""
