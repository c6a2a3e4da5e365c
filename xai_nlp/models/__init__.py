"""The only code that knows HuggingFace: where architectures keep things, texts into rows, models by name."""
