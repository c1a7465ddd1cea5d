"""pvla: robot policies that know how far along their task is, and act on it."""

__version__ = "0.1.0"
