"""`pellucid sign` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("sign.py") + "pellucid.py", {"VERB": "sign"}, __name__)
