"""Signed statements about a release: in-toto statements in DSSE envelopes, and whose they are."""
