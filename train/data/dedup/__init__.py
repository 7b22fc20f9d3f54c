"""Near duplicates and contamination: n-gram hashes and MinHash signatures."""
