"""The store out: datasets in the formats of others."""
