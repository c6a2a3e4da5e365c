"""The page of an overview: what it shows, how large it is, and that it reads without a script."""
