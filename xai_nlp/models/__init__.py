"""The only code that knows HuggingFace: layouts, vision-language families, tokenization, loading, generation."""
