"""`pellucid verify` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("verify.py") + "pellucid.py", {"VERB": "verify"}, __name__)
