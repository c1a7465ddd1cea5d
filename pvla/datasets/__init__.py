"""One store for episodes: writing, reading, checking, and the features of frozen encoders beside it."""
