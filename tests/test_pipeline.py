import functools
import json
import os
import shlex
import shutil
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import warm
from conftest import MACHINE, SMALL, refusal, source, wait_for

from train import pipeline
from train.artifact import Bound, Input, file_digest
from train.compose import compose, settled
from train.config import build, plain
from train.errors import UserError
from train.keys import ROOT, key
from train.layout import ARTIFACTS
from train.world import World


def run_config(*overrides: str) -> pipeline.Run:
    return build(pipeline.Run, compose([*SMALL, *overrides]))


def changed(*overrides: str) -> list[str]:
    """The artifacts whose key the overrides change."""
    before, after = usual(), keys(*overrides)
    return [name for name in before if before[name] != after[name]]


def keys(*overrides: str) -> dict[str, str]:
    return {name: record.key for name, record in pipeline.plan(run_config(*overrides)).items()}


usual = functools.cache(lambda: keys())
AFTER_DATA = ["judged", "duplicates", "selected", "tokenizer", "tokens", "weights", "evaluation", "release"]


@pytest.mark.parametrize(("override", "artifacts"), [
    ("machine.threads=3", []), ("machine.runs=elsewhere", []), ("until=tokens", []),
    ("evaluation.seed=9", ["evaluation", "release"]), ("training.steps=25", ["weights", "evaluation", "release"]),
    ("tokenizer.vocabulary=300", AFTER_DATA[3:]), ("data.selected.too_short=30", AFTER_DATA),
    ("data.selected.near_duplicates=0.9", AFTER_DATA[1:]), ("data.selected.contaminated=0.3", AFTER_DATA[2:]),
    ("benchmarks.pairs.seed=2", ["benchmarks", *AFTER_DATA[2:]]),
])  # fmt: skip
def test_an_override_changes_the_keys_it_touches_and_no_other(override, artifacts):
    assert changed(override) == artifacts


def test_pinned_keys_hold_the_stack_and_exact_keys_do_not():
    assert changed("training.numerics.contract=pinned") == ["weights", "evaluation", "release"]
    one, two = (keys("training.numerics.contract=pinned", f"machine.threads={n}") for n in (1, 2))
    assert one["weights"] != two["weights"] and one["tokens"] == two["tokens"]


def test_the_licence_that_generated_texts_stand_under_is_in_the_key(monkeypatch):
    assert pipeline.plan(run_config())["raw"].code["LICENSE"] == file_digest(ROOT / "LICENSE")
    before = keys()
    monkeypatch.setattr(pipeline, "file_digest", lambda path: "0" * 64)
    assert all(before[name] != key for name, key in keys().items() if name != "benchmarks")
    with pytest.raises(UserError, match=r"licence_files: 'COPYING' is not in this repository, .* such as LICENSE"):
        keys("data.raw.sources.0.licence_files=[COPYING]")


SPELLINGS = [
    ["recipe=tiny", "release.authors=[Ann Example]", "training.steps=50"],
    ["release.authors=['Ann Example']", "training.steps=50", "recipe=tiny"],
    ["recipe=tiny", "training.steps=50", 'release.authors=["Ann Example"]', "training.seed=0", "machine.threads=2"],
    ["data=stories", "tokenizer=bpe512", "model=tiny", "evaluation=stories", "name=tiny", "training.batch=16",
     "training.steps=50", "training.checkpoint_every=100", "training.evaluate_every=100", "training.evaluate_batches=2",
     "training.optimizer.learning_rate=0.01", "training.optimizer.matrix_learning_rate=0.03",
     "training.numerics.group=32", "release.trials=[]", "release.authors=[Ann Example]"],
]  # fmt: skip


def test_however_a_configuration_is_spelled_its_keys_are_the_same():
    mappings = [compose(spelling) for spelling in SPELLINGS]
    first, *others = [pipeline.plan(build(pipeline.Run, mapping)) for mapping in mappings]
    assert all(other == first for other in others) and all(mapping["settings"] == SPELLINGS[0] for mapping in mappings)
    config = first["release"].config
    assert config.keys() == {"release", "resolved"}
    assert not {"machine", "until", "overrides", "settings"} & config["resolved"].keys()


@pytest.mark.parametrize("overrides", [
    [], ["name=mine"], ["recipe=tiny", "data=opendocs", "training.steps=7"],
    ["recipe=tiny", "+data.selected.excluded.x=why", "data.selected.too_short=30"],
    ["recipe=tiny", "data.raw.sources.0.count=500", "release.title=\"a: 'b', [c]\""],
    ["recipe=gpu", "training.optimizer.learning_rate=1e-5", "training.optimizer.weight_decay=1"],
])  # fmt: skip
def test_the_overrides_on_a_card_lead_to_the_configuration_again(overrides):
    words = compose(overrides)["settings"]
    again = compose(shlex.split(shlex.join(words)))
    one, other = (pipeline.resolved(build(pipeline.Run, mapping)) for mapping in (compose(overrides), again))
    assert words and one == other
    kept = json.loads(json.dumps(plain(one), sort_keys=True))  # as a release keeps it
    assert settled(kept, {"until": "release"})["settings"] == words
    kept["data"]["selected"]["excluded"] = {"pkg:generic/mine@1": "on ${demand}"}  # which no override can say
    assert settled(kept, {"until": "release"})["settings"] == []


INDEXED = {"kind": "pypi", "purl": "pkg:pypi/demo@1.0", "filename": "demo-1.0.tar.gz", "sha256": "0" * 64, "bytes": 5}
INDEXED = {key: value for key, value in source(**INDEXED).items() if key not in ("path", "columns")}


@pytest.mark.parametrize(("one", "other"), [
    (source(sha256="0" * 64), {"path": "a_folder", "mirrors": ["b"]}),
    (INDEXED, {"mirrors": ["http://127.0.0.1/demo-1.0.tar.gz"]}),
])  # fmt: skip
def test_of_where_a_source_is_looked_for_only_the_kind_is_a_witness(one, other):
    plans, told = [], []
    for each in (one, one | other):
        mapping = compose(SMALL)
        mapping["data"]["raw"]["sources"] = [each]
        config = build(pipeline.Run, mapping)
        plans.append(pipeline.plan(config))
        told.append(pipeline.request(config)["places"][one["purl"]])
    assert plans[0] == plans[1] and "a_folder" not in str(plans) and "127.0.0.1" not in str(plans)
    folder = ["folder"] * ("path" in one)
    assert told == [folder, [*folder, "mirror"]]


@pytest.mark.parametrize(("typed", "told"), [
    ("data=my_text", "data=my_text"), ("data.raw.sources.0.count=500", "data.raw.sources.0.count=500"),
    ("data.raw.sources.0.path=mine", "data.raw.sources.0.path=..."),
    ("++data.raw.sources[0].path=mine", "++data.raw.sources[0].path=..."),
    ("data.raw.sources.0.mirrors=[mine]", "data.raw.sources.0.mirrors=..."),
    ("data.raw.sources.0.mirrors.1=mine", "data.raw.sources.0.mirrors.1=..."),
    ("benchmarks.raw.sources.0={path: mine}", "benchmarks.raw.sources.0=..."),
    ("+data.raw.sources=[{path: mine}]", "+data.raw.sources=..."),
    ("data.raw={sources: [{path: mine}]}", "data.raw=..."), ("machine.runs=mine", None),
    ("hydra.searchpath=[mine]", None),
])  # fmt: skip
def test_an_override_that_could_tell_a_place_is_recorded_without_its_value(typed, told):
    config = replace(build(pipeline.Run, compose(SMALL)), overrides=(typed,))
    assert pipeline.request(config)["overrides"] == ([told] if told else [])


def test_made_once_then_kept_and_moved_with_its_folder_and_none_that_cannot_be_written(command):
    said = command("until=tokens")
    assert said.count(" kept ") == 8 and " made " not in said
    (command.home / "runs").rename(command.home / "moved")
    said = command("until=tokens", "machine.runs=moved")
    assert said.count(" kept ") == 8 and " made " not in said
    (command.home / "flat").write_text("")
    assert command("machine.runs=flat/runs", "until=raw", status=1).startswith("error: flat/runs: ")


def test_whom_to_credit_is_corrected_without_training_again_and_without_trusting_what_is_damaged(command):
    few = ["until=weights", "training.steps=2", "training.checkpoint_every=2", "training.evaluate_every=2"]
    command(*few)
    first, credit = command.artifact("weights"), 'data.raw.sources.0.attribution="Somebody else"'
    trained = json.loads((first / "manifest.json").read_text())
    said = command(*few, credit)
    [final] = set(command.home.glob("runs/weights-*[0-9a-f]")) - {first}
    record = json.loads((final / "manifest.json").read_text())
    assert "weights    kept" in said and "weights    made" not in said and "selected   made" in said
    assert record["products"] == trained["products"] and record["key"] != trained["key"]
    assert record["inputs"]["tokens"]["key"] != trained["inputs"]["tokens"]["key"]
    shutil.rmtree(final)
    (first / "model.safetensors").unlink()
    (first / "model.safetensors").write_bytes(b"damaged")
    assert "weights    made" in command(*few, credit)


def test_a_damaged_artifact_is_named_set_aside_and_made_anew(command):
    tokens = command.artifact("tokens")
    wanted = (tokens / "manifest.json").read_bytes()
    data = bytearray((tokens / "train.npy").read_bytes())
    data[-1] ^= 1
    (tokens / "train.npy").write_bytes(data)
    said = command("until=tokens", status=1)
    assert f"{tokens} is damaged: train.npy: expected" in said and tokens.with_name(tokens.name + ".damaged").is_dir()
    said = command("until=tokens")
    assert said.count(" kept ") == 7 and said.count(" made ") == 1 and (tokens / "manifest.json").read_bytes() == wanted


class Two:
    """A source and what is made of it, in `home`: two stages that a test can make again with other inputs."""

    def __init__(self, home: Path) -> None:
        self.home, self.said = home, []
        self.stages = (pipeline.Stage("raw", self.make), pipeline.Stage("tokenizer", self.make))

    def make(self, config, inputs, out, world):
        """A product of the config and the inputs; `config` "cut" ends in the middle."""
        (out / "begun").write_text(str(config))
        if config == "cut":
            raise KeyboardInterrupt
        (out / "product").write_text("".join((path / "product").read_text() for path in vars(inputs).values()) + config)

    def __call__(self, raw: str = "a", tokenizer: str = "b", code: str = "c" * 64, rest: str = "") -> list[str]:
        """Make or keep both, under keys that differ in nothing that their names show; what was done with each."""
        self.said, made, world = [], {}, World(0, 1, replace(MACHINE, runs=self.home))
        for stage, config in zip(self.stages, (raw, tokenizer), strict=True):
            inputs = dict.fromkeys(made, Input(f"12345678{rest}", ""))
            planned = Bound(stage.name, f"12345678{rest}", None, {"train/keys.py": code}, inputs)
            made[stage.name] = pipeline._artifact(stage, config, planned, made, world, self.said.append)
        return [word for line in self.said if (word := line.split()[1]) != "..."]


@pytest.mark.parametrize(("changes", "done", "reason"), [
    ({}, ["kept", "kept"], None),
    ({"raw": "other"}, ["made", "stale", "made"], "made from another raw (products "),
    ({"rest": "9"}, ["stale", "made", "stale", "made"], "made from another raw (products "),
    ({"code": "d" * 64}, ["stale", "made", "stale", "made"], "made of another code"),
])  # fmt: skip
def test_an_artifact_is_kept_only_if_key_and_inputs_are_those_of_now(tmp_path, changes, done, reason):
    two = Two(tmp_path)
    assert two() == ["made", "made"]
    if "raw" in changes:  # made anew under the same key: something that no key holds moved
        shutil.rmtree(tmp_path / "raw-12345678")
    assert two(**changes) == done
    lines = [line for line in two.said if " stale " in line]
    assert not lines or (reason in lines[-1] and lines[-1].endswith(f"now {tmp_path / 'tokenizer-12345678.stale'}"))
    assert two(**changes) == ["kept", "kept"]


def test_what_was_begun_from_other_inputs_is_not_gone_on_with(tmp_path):
    two = Two(tmp_path)
    refusal(two, tokenizer="cut", error=KeyboardInterrupt)
    shutil.rmtree(tmp_path / "raw-12345678")
    assert two(raw="other") == ["made", "stale", "made"]
    assert "tokenizer-12345678.part: made from another raw" in two.said[-2]
    assert (tmp_path / "tokenizer-12345678.part.stale" / "begun").is_file()


def test_a_half_made_artifact_is_not_taken_for_a_whole_one(command):
    before = (command.artifact("selected") / "manifest.json").read_bytes()
    for stage in ("selected", "tokenizer", "tokens"):
        shutil.rmtree(command.artifact(stage))
    command("until=selected", fsync=3, status=-9)
    (part,) = (command.home / "runs").glob("selected-*.part")
    assert not part.with_suffix("").exists()
    bound = json.loads((part / "witness" / "commitment.json").read_text())["bound"]
    command("until=selected")
    assert {**bound, "products": json.loads(before)["products"]} == json.loads(before)
    assert (command.artifact("selected") / "manifest.json").read_bytes() == before


def test_two_processes_at_once_do_no_harm(command):
    tokens = command.artifact("tokens")
    wanted = (tokens / "manifest.json").read_bytes()
    shutil.rmtree(tokens)
    first = command.begin("until=tokens")
    wait_for(lambda: list((command.home / "runs").glob("tokens-*.part")))
    os.kill(first, signal.SIGSTOP)  # it holds its turn
    second = command.start("until=tokens")
    while "waiting for another process" not in (line := second.stdout.readline()):
        assert line
    os.kill(first, signal.SIGCONT)
    (out, err), done = second.communicate(timeout=300), warm.end()
    assert (done.returncode, second.returncode) == (0, 0), err
    assert " made " in done.stdout and " made " not in out and (tokens / "manifest.json").read_bytes() == wanted


def test_manifests_hold_what_the_key_is_made_of(command):
    for stage in pipeline.STAGES[:6]:
        found = json.loads((command.artifact(stage.name) / "manifest.json").read_text())
        inputs = {name: entry["key"] for name, entry in found["inputs"].items()}
        parts = {name: found[name] for name in ("stage", "config", "code")}
        assert found["key"] == key(**parts, inputs=inputs)
        assert command.artifact(stage.name).name == f"{stage.name}-{found['key'][:8]}"
        text = (command.artifact(stage.name) / "manifest.json").read_text()
        assert str(command.home) not in text and str(ROOT) not in text


def test_interrupted_in_a_data_stage_it_ends_with_130_and_goes_on(command):
    wanted = (command.artifact("tokens") / "manifest.json").read_bytes()
    shutil.rmtree(command.artifact("selected"))
    shutil.rmtree(command.artifact("tokens"))
    process = command.begin("until=tokens")
    wait_for(lambda: list((command.home / "runs").glob("selected-*.part")))
    os.kill(process, signal.SIGINT)
    done = warm.end()
    assert done.returncode == 130 and "run the same command again" in done.stderr and "Traceback" not in done.stderr
    command("until=tokens")
    assert (command.artifact("tokens") / "manifest.json").read_bytes() == wanted


@pytest.mark.parametrize(("found", "until", "says"), [
    ({"free_at": lambda folder: 1000}, "weights", "runs: weights and 3 checkpoints take .* of disk"),
    ({"memory_of": lambda machine: 1000}, "release", "a step takes about .* of memory"),
    ({"free_at": lambda folder: 0, "memory_of": lambda machine: 0}, "tokens", None),  # nothing is trained
])  # fmt: skip
def test_what_cannot_fit_is_refused_before_anything_is_made(tmp_path, monkeypatch, found, until, says):
    for name, value in found.items():
        monkeypatch.setattr(f"train.training.budget.{name}", value)
    monkeypatch.setattr(pipeline, "require_lock", lambda installed: None)
    folders = [f"machine.{name}={tmp_path / name}" for name in ("runs", "releases", "cache")]
    config, stages = run_config(*folders, f"until={until}"), []
    monkeypatch.setattr(pipeline, "_artifact", lambda stage, *_: stages.append(stage.name))
    with pytest.raises(UserError, match=says) if says else nullcontext():
        pipeline.run(config)
    assert bool(stages) == (says is None) and (stages or not list(tmp_path.iterdir()))


def test_each_artifact_is_made_by_the_module_of_the_table():
    made = {stage.name: f"{stage.make.__module__.replace('.', '/')}.py" for stage in pipeline.STAGES}
    assert made == {**{name: row.module for name, row in ARTIFACTS.items()}, "release": "train/release/bundle.py"}
