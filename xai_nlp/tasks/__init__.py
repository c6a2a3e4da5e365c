"""An example in, an Explanation out. `explainer.py` is the whole story; the other files are its words."""
