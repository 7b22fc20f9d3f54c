"""`pellucid reproduce` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("reproduce.py") + "pellucid.py", {"VERB": "reproduce"}, __name__)
