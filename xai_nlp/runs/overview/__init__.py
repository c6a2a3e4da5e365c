"""A run as a whole: one pass over its files feeds sections, each of which answers one question."""
