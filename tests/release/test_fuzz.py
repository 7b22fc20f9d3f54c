"""Random mutations of a release: every one is noticed. `PELLUCID_MUTATIONS=5000` asks for more than the default.

Who alters a file and leaves MANIFEST.json alone is found by the quick level, whatever the file. Who also makes the
manifest anew is found by the checks that make products again. Of `logs/`, which is true of one run, what has another
witness is found: batches, commitments, and what `report.html` shows. Who draws that page anew as well may shift times,
memory and speeds, and the lists of packages and operations are nobody else's: none of it enters the identity. To
notice who makes *all* records anew takes a replay, a rebuild or a signature.
"""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from train.artifact import write_json
from train.data import schema
from train.errors import UserError
from train.release.bundle import manifest_of
from train.release.cards.report import report
from train.release.standards.osaid import regular_files
from train.release.verify.checks import CHECKS
from train.release.verify.run import verify

MUTATIONS = int(os.environ.get("PELLUCID_MUTATIONS", "150"))
FAST = {"integrity", "completeness", "chain", "osaid", "metadata", "licences", "layout"}  # these mostly suffice
SLOW = {check.__name__ for check in CHECKS} - FAST


class Subject:
    """A copy of a release, and a generator of mutations of it; each returns the paths that it touched."""

    def __init__(self, release: Path, copy: Path, seed: int, prefixes_left_out: tuple[str, ...]) -> None:
        self.pristine, self.copy, self.draw = release, copy, random.Random(seed)
        self.paths = [p for p in regular_files(release) if not p.startswith(prefixes_left_out)]

    def any(self, ending: str = "") -> str:
        return self.draw.choice([p for p in self.paths if p.endswith(ending) and (self.copy / p).stat().st_size])

    def write(self, path: str, data: bytes) -> list[str]:
        (self.copy / path).parent.mkdir(parents=True, exist_ok=True)
        (self.copy / path).write_bytes(data)
        return [path]

    def flip(self) -> list[str]:
        path = self.any()
        data = bytearray((self.copy / path).read_bytes())
        data[self.draw.randrange(len(data))] ^= 1 << self.draw.randrange(8)
        return self.write(path, bytes(data))

    def truncate(self) -> list[str]:
        path = self.any()
        data = (self.copy / path).read_bytes()
        return self.write(path, data[: self.draw.randrange(len(data))])

    def append(self) -> list[str]:
        path = self.any()
        return self.write(path, (self.copy / path).read_bytes() + self.draw.randbytes(self.draw.randint(1, 9)))

    def swap(self) -> list[str]:
        return self.exchange(self.any(), self.any())

    def exchange(self, one: str, other: str) -> list[str]:
        first, second = (self.copy / one).read_bytes(), (self.copy / other).read_bytes()
        return [*self.write(one, second), *self.write(other, first)] if first != second else self.flip()

    def rename(self) -> list[str]:
        path = self.any()
        (self.copy / path).rename(self.copy / f"{path}x")
        return [path, f"{path}x"]

    def delete(self) -> list[str]:
        path = self.any()
        (self.copy / path).unlink()
        return [path]

    def add(self) -> list[str]:
        place = self.draw.choice(("", ".", ".github/", "data/", "code/", "provenance/", "checkpoints/step-999999/"))
        return self.write(f"{place}n{self.draw.randrange(1000)}", self.draw.randbytes(5))

    def edit_json(self) -> list[str]:
        path = self.any(".json")
        root = {"": json.loads((self.copy / path).read_bytes())}
        place, key = root, ""
        while isinstance(place[key], dict | list) and place[key]:
            place = place[key]
            key = self.draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        old = place[key]
        if self.draw.random() < 0.2 and place is not root and isinstance(place, dict):
            del place[key]
        elif isinstance(old, bool):
            place[key] = not old
        else:
            place[key] = old + 1 if isinstance(old, int | float) else f"{old}x"
        return self.write(path, (json.dumps(root[""], indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())

    def edit_rows(self) -> list[str]:
        path = self.any(".parquet")
        table, rows = schema.pq.read_table(self.copy / path), list(schema.read_rows([self.copy / path]))
        if not rows:
            return self.flip()
        number, column = self.draw.randrange(len(rows)), self.draw.choice(table.schema.names)
        if self.draw.random() < 0.3:
            rows.append(rows.pop(number) if self.draw.random() < 0.5 and len(rows) > 1 else rows[number])
        elif isinstance(rows[number][column], int):
            rows[number][column] += 1
        else:
            rows[number][column] += "x"
        before = (self.copy / path).read_bytes()
        schema.write_rows(self.copy / path, rows, table.schema)
        return [path] if before != (self.copy / path).read_bytes() else self.flip()

    def swap_checkpoints(self) -> list[str]:
        name = self.draw.choice(("model.safetensors", "optimizer.safetensors", "state.json"))
        one, other = sorted(path for path in self.paths if path.startswith("checkpoints/") and path.endswith(name))[:2]
        return self.exchange(one, other)

    def shift_number(self) -> list[str]:
        path = self.draw.choice(("README.md", "data/README.md"))
        text = (self.copy / path).read_text()
        place = self.draw.choice([number for number, letter in enumerate(text) if letter.isdigit()])
        return self.write(path, f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}".encode())

    def mutate(self) -> tuple[str, list[str]]:
        kinds = (
            self.flip, self.truncate, self.append, self.swap, self.rename, self.delete, self.add, self.edit_json,
            self.edit_rows, self.swap_checkpoints, self.shift_number,
        )  # fmt: skip
        kind = self.draw.choice(kinds)
        touched = kind()
        return f"{kind.__name__} {' '.join(touched)}", touched

    def restore(self, touched: list[str]) -> None:
        for path in sorted({*touched, "MANIFEST.json"}):
            if (self.pristine / path).exists():
                self.write(path, (self.pristine / path).read_bytes())
            else:
                (self.copy / path).unlink(missing_ok=True)
        for path in touched:  # no empty folder is left
            if (folder := (self.copy / path).parent).is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def noticed(release: Path, level: str, only: set[str]) -> bool:
    try:
        return not all(result.ok for result in verify(release, level, only))
    except UserError:  # such as a manifest that is none
        return True


def test_every_mutation_is_noticed_by_the_quick_level(release, copy):
    subject = Subject(release, copy, 1, ("MANIFEST.json",))
    for _ in range(MUTATIONS):
        what, touched = subject.mutate()
        assert noticed(copy, "quick", {"integrity"}), what
        subject.restore(touched)
    assert not noticed(copy, "quick", {"integrity"})


def test_every_edit_of_the_manifest_is_noticed(release, copy):
    subject = Subject(release, copy, 2, ("MANIFEST.json",))
    subject.paths = ["MANIFEST.json"]
    for _ in range(MUTATIONS // 5):
        touched = subject.edit_json()
        assert noticed(copy, "quick", {"integrity"}), (copy / "MANIFEST.json").read_text()[:200]
        subject.restore(touched)


@pytest.mark.parametrize("part", [pytest.param(6, marks=pytest.mark.slow), 40])
def test_every_mutation_of_a_product_is_noticed_though_the_manifest_was_made_anew(release, copy, part):
    subject = Subject(release, copy, part, ("MANIFEST.json", "logs/"))
    for _ in range(MUTATIONS // part):
        what, touched = subject.mutate()
        write_json(copy / "MANIFEST.json", manifest_of(copy))
        assert noticed(copy, "full", FAST) or noticed(copy, "full", SLOW), what
        subject.restore(touched)
    assert not noticed(copy, "full", FAST)


def test_what_only_the_run_itself_could_tell_is_not_noticed_when_all_that_shows_it_is_made_anew(release, copy):
    run = json.loads((copy / "logs/weights/run.json").read_bytes())
    write_json(copy / "logs/weights/run.json", {**run, "seconds": run["seconds"] * 2})
    for path in ("logs/packages.json", "logs/weights/operations.json", "logs/evaluation/compressed.json"):
        (copy / path).write_bytes((release / path).read_bytes() + b"\n")
    write_json(copy / "MANIFEST.json", manifest_of(copy))
    assert noticed(copy, "full", {"report"})
    (copy / "report.html").write_bytes(report(copy, manifest_of(copy)["identity"]))
    write_json(copy / "MANIFEST.json", manifest_of(copy))
    assert not noticed(copy, "full", {*FAST, "report", "environment", "order", "secrets"})
    assert manifest_of(copy)["identity"] == json.loads((release / "MANIFEST.json").read_bytes())["identity"]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_mutations(release, tmp_path, seed):
    found = []
    for name in ("a", "b"):
        subject = Subject(release, Path(shutil.copytree(release, tmp_path / name)), seed, ("MANIFEST.json",))
        found.append([])
        for _ in range(3):
            what, touched = subject.mutate()
            subject.restore(touched)
            found[-1].append(what)
    assert found[0] == found[1]
