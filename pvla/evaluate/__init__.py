"""Many trials in the simulator, paired and counted, and what they show; latency on this machine. No torch."""
