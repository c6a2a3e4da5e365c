"""The engine: problems, the path and the coalition sweeps, results. Knows neither layers nor tokenizers."""
