"""An example in, an Explanation out. `run.py` is the order of a call; the other files are its steps."""
