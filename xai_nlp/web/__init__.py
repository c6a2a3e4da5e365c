"""The web page: ask a model, see why, keep and compare; served on this machine, for nobody else unless asked."""
