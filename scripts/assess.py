"""`pellucid assess` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("assess.py") + "pellucid.py", {"VERB": "assess"}, __name__)
