"""Whole data sets: explained into Parquet files, gone on with after an interruption, read back; two models compared."""
