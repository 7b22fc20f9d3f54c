"""What a stage reads: its inputs, what it writes itself, its own code and the installed packages, and nothing else."""

import json
import os
import subprocess
import sys

from conftest import LEAST

from train.compose import compose
from train.keys import ROOT
from train.training.numerics import SWITCHES

SMALL = [*LEAST, "machine.threads=1", "machine.workers=1", "machine.progress=none"]
# Variables that a key holds where they can change a product (`stack`), and those of how to run.
VARIABLES = {*SWITCHES, "WORLD_SIZE", "NO_COLOR"}
PROGRAM = """
import dataclasses, json, os, sys
from train import pipeline
from train.config import build

mapping, planted = json.loads(sys.stdin.read())
SYSTEM = ("/proc", "/sys", "/dev", "/usr/share/zoneinfo/Etc/UTC")
root, packages = str(pipeline.ROOT), [os.path.realpath(path) for path in (sys.prefix, sys.base_prefix)]
stage, allowed, how, found = None, [], [], set()

def reads(event, args):
    if stage and event == "open" and not isinstance(args[0], int) and (args[2] or 0) & os.O_ACCMODE != os.O_WRONLY:
        path = os.path.realpath(os.fsdecode(args[0]))
        importable = path.endswith((".py", ".pyc")) or os.path.isdir(path)
        if not any(path == place or path.startswith(place + "/") for place in allowed + how * importable):
            found.add((stage, path))

class Variables(type(os.environ)):
    def __getitem__(self, name):
        frame = sys._getframe(1)
        while frame.f_code.co_filename.strip("<>").removesuffix(".py").split()[-1].endswith(("_collections_abc", "os")):
            frame = frame.f_back
        asks = {"environ", "getenv"} & {*frame.f_code.co_names}  # else a library that it calls
        if stage and asks and frame.f_code.co_filename.startswith(root + "/train/"):
            found.add((stage, name))
        return super().__getitem__(name)

def watched(row):
    def make(config, inputs, out, world):
        global stage, allowed, how
        code = [f"{root}/{path}" for path in planned[row.name].code]
        caches = [f"{os.path.dirname(path)}/__pycache__" for path in code]
        how = [f"{root}/train/{name}" for name in ("machine.py", "training", "data")]  # imported when it is used
        own = map(os.path.realpath, [out, *vars(inputs).values(), os.environ["TMPDIR"]])
        allowed = [*packages, *SYSTEM, *code, *caches, *own]
        stage = row.name
        try:
            if row.name == planted["stage"]:
                exec(compile(planted["program"], root + "/train/planted.py", "exec"))
            row.make(config, inputs, out, world)
        finally:
            stage = None
    make.__module__ = row.make.__module__
    return dataclasses.replace(row, make=make)

config = build(pipeline.Run, mapping)
planned = pipeline.plan(config)
pipeline.STAGES = tuple(map(watched, pipeline.STAGES))
sys.addaudithook(reads)
os.environ.__class__ = Variables
pipeline.run(config, lambda line: None)
print(json.dumps(sorted(found)))
"""


def test_no_stage_reads_what_its_key_does_not_hold(tmp_path):
    (tmp_path / "elsewhere").write_text("a wish")
    program = f"import os; open({str(tmp_path / 'elsewhere')!r}).read(); os.environ.get('A_WISH'); os.getenv('ANOTHER')"
    folders = [f"machine.{name}={tmp_path / name}" for name in ("runs", "releases", "cache")]
    told = json.dumps([compose([*SMALL, *folders]), {"stage": "benchmarks", "program": program}])
    (tmp_path / "scratch").mkdir()
    own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "scratch")}
    line, environment = [sys.executable, "-c", PROGRAM], {**os.environ, **own}
    done = subprocess.run(line, input=told, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    read = (tuple(each) for each in json.loads(done.stdout.splitlines()[-1]))
    # A release hands all variables on to git, whose answer is a witness.
    found = [(stage, what) for stage, what in read if what not in VARIABLES and (stage != "release" or "/" in what)]
    planted = [("benchmarks", what) for what in sorted([str(tmp_path / "elsewhere"), "ANOTHER", "A_WISH"])]
    assert found == planted, "\n".join(map(str, found))
