"""Rules that keep, drop or redact documents, each a pure function with its threshold."""
