"""Foreign datasets in: a reader for each format, one conversion into the store, a report of what it did."""
