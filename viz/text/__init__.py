"""Text that is drawn: spans, marks, layout, wording, numbers and the colour scale."""
