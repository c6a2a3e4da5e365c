"""Figures by matplotlib, which is imported with the first figure."""
