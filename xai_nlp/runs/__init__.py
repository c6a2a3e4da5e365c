"""Work on whole data sets: comparisons of two models."""
