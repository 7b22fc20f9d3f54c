"""Pellucid: a language model, from pinned sources to a release that a stranger can rebuild to the same bytes.

    sources --raw--> documents --select--> selected --learn--> tokenizer
                                              |                    |
                                              +-------encode-------+--> tokens --fit--> weights --measure--> evaluation
                                                                                                   |
    all of them ------------------------------------collect--------------------------------> release --verify

`pipeline.py` holds this picture as a table, and runs it. Read on in that order: `config` and `artifact` (what is
promised), `data` (what is learnt from), `model` and `training` (how), `evaluation` (how well), `release` (the proof).
"""
