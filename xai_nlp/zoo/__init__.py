"""Embedded models as ordinary HuggingFace folders: the offline default."""
