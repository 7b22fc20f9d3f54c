"""`pellucid diff` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("diff.py") + "pellucid.py", {"VERB": "diff"}, __name__)
