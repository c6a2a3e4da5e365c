"""Whole data sets: planned, explained into Parquet files, gone on with after an interruption, and read back lazily."""
