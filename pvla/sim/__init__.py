"""The tabletop simulator: scene, environments, scripted experts, demonstrations. Torch-free."""
