"""The command of this checkout: `python scripts/pellucid.py VERB ...`, and what the other scripts of verbs run."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.cli import main

if __name__ == "__main__":
    sys.exit(main([*filter(None, [globals().get("VERB")]), *sys.argv[1:]]))
