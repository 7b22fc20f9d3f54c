"""`pellucid sample` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("sample.py") + "pellucid.py", {"VERB": "sample"}, __name__)
