"""CALVIN: one npz file a time step, and annotations in a pickle that is never executed."""
