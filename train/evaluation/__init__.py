"""How well: measure, against which baselines, and samples of what the model writes."""
