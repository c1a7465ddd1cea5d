"""Open X-Embodiment: what each dataset of OpenVLA's selection means by its numbers."""
