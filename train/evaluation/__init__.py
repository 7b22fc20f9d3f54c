"""How well: measure, against which yardsticks, and samples of what the model writes."""
