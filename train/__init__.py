"""Pellucid: a language model, from pinned sources to a release that a stranger can rebuild to the same bytes.

    sources --raw--> documents --judge--> judged --compare--> duplicates
                                             |                    |
                                             +-------select-------+--> selected --learn--> tokenizer
                                                                           |                   |
    evaluation <--measure-- weights <--fit-- tokens <----------------------+-------encode------+
         |
    all of them --collect--> release --verify

The reading core, in order; all else is a leaf that need not be opened:

    pipeline artifact keys config world
    data.raw data.documents data.filters.rules data.judged data.duplicates data.selected data.tokenizer data.tokens
    data.batches model exact training.optimizer training.checkpoint training.loop evaluation.measure
    release.bundle release.verify.run
"""
