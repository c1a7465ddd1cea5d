"""Samples for training, drawn straight out of stores: any step's batch can be made again from (seed, step) alone."""
