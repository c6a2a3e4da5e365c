"""Coloured text for a terminal."""
