"""Verification of a release: each claim derived again by the verifier's own code."""
