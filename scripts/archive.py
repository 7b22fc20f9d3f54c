"""Pack a release into one file, the same bytes on every machine: `python scripts/archive.py RELEASE [--by-role]`.

It is verified before (`--quick` level) and lies beside the release; `scripts/verify.py` takes archives as well.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.terminal import guarded


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="the folder that holds MANIFEST.json")
    parser.add_argument("--by-role", action="store_true", help="data, code, checkpoints and all else apart")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where to; by default beside the release")
    asked = parser.parse_args(arguments)
    from train.artifact import file_digest
    from train.release.archive import pack
    from train.release.prove.reproduce import require_whole
    from train.release.standards.osaid import ladder

    require_whole(asked.release)
    release = asked.release.resolve()
    for path in pack(release, asked.into or release.parent, asked.by_role):
        print(f"archive    {path}\nsha256     {file_digest(path)}")
    print("\n".join(ladder(str(asked.release), dict.fromkeys(["intact"], "holds"))))


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
