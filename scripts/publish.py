"""Upload a release to a model repository of the Hugging Face hub: `python scripts/publish.py RELEASE OWNER/NAME`.

Only what passes every check of `verify` goes up, all of it or nothing; other files that stand there are shown, and
deleted if --delete says so. Which hub, and by whose leave, say the settings of the hub's own client, such as HF_TOKEN.
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
    parser.add_argument("repository", metavar="OWNER/NAME", help="made if it is not there yet")
    parser.add_argument("--delete", action="store_true", help="delete what else stands in that repository")
    asked = parser.parse_args(arguments)
    from train.artifact import read_json
    from train.errors import UserError
    from train.release.publish import upload
    from train.release.standards.osaid import ladder, release_files
    from train.release.verify.result import against
    from train.release.verify.run import verify

    failures = against(verify(asked.release, "full"))
    if failures:
        raise UserError("\n".join(f"not published: {result.name}: {result.detail}" for result in failures))
    identity = read_json(asked.release / "MANIFEST.json")["identity"]
    names = release_files(asked.release)
    where = upload(asked.release, names, asked.repository, f"Release {identity}", asked.delete)
    print(f"published  {where}\nidentity   {identity}")
    print(f"for others hf download {asked.repository} --local-dir FOLDER")
    print("\n".join(ladder(str(asked.release), dict.fromkeys(["intact", "consistent"], "holds"))))


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
