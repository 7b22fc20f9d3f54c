"""Readers: from a file's bytes to plain text, by its type and markup."""
