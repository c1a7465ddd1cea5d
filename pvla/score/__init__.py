"""Progress of a video: its curve, verdict, anomalies, and the probes that show whether to believe them."""
