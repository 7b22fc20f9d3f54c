"""Evaluation: bits per byte, baselines, minimal pairs, multiple choice, samples, and overlap with the training text."""
