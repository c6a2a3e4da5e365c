"""Texts for every kind of drawing: spans, marks, layout, wording, numbers and the colour scale."""
