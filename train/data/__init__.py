"""From pinned sources to the batch of any step: raw, documents, selected, tokenizer, tokens, batches."""
