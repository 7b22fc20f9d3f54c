"""`pellucid sample` of this checkout."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).with_name("pellucid.py")), {"VERB": "sample"}, __name__)
