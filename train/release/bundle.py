"""Stage 9. Everything that was made, in one folder that is also a Hugging Face model repository.

What the stages made is copied byte for byte (`layout.placed`); what is written here is a function of the folder itself
(`WRITTEN`), so that `verify` can write it again and compare.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from train import artifact, initial
from train.artifact import as_json, digest_of, file_digest, manifest, products_of, read_json, write_bytes, write_json
from train.config import build, plain, read
from train.data import tokenizer
from train.data.tokens import read_tokens
from train.differences import keys_apart
from train.errors import UserError
from train.evaluation.measure import load_model
from train.layout import WITNESSES, Listing, folder_of, listed_files, placed, regular_files
from train.model import ModelConfig, Transformer, hugging_face_config, load_weights, weights_of
from train.release import repository
from train.release.about import ReleaseConfig
from train.release.cards import data_card, model_card
from train.release.cards.report import loss_chart, report
from train.release.cards.statistics import statistics
from train.release.lock import unlike
from train.release.resolved import Resolved
from train.release.sharing import share
from train.release.standards import croissant, forms, mof, osaid, reuse, sbom
from train.training.checkpoint import OPTIMIZER, STATE, WEIGHTS, State, load, restore, write_tensors
from train.training.loop import FitConfig, gradients
from train.training.optimizer import Optimizer
from train.training.start import initial_model
from train.training.steps import tokens_seen
from train.world import Inputs, World

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = """
    train configs data_cards scripts tests docs .ci Makefile pyproject.toml requirements.lock LICENSE README.md
    CHANGELOG.md CONTRIBUTING.md CITATION.cff NOTICE UPGRADE.md .gitignore .gitattributes
"""  # all that makes up the source code; folders and files
RESOLVED = ("code/config.json", "code/overrides.json")  # of the code, what people did not write
PROMPTS = ("The ", "In the beginning", "for example, ")
LOGITS_KEPT = 5


@dataclass(frozen=True)
class CollectConfig:
    release: ReleaseConfig
    resolved: Resolved  # the whole configuration but how to run
    settings: tuple[str, ...]  # the overrides that lead to it: computed from it and the files of configs/
    request: dict[str, Any]  # how it was asked for: a witness, in no key


def collect(config: CollectConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write the release to `out/release`. Raises UserError when the data set has no card or a folder is not readable.

    The same inputs give the same bytes, save `logs/` and `report.html` (witnesses of the runs) and the digests of
    these in `MANIFEST.json`. `identity` there is the digest over all products.
    """
    release = out / "release"
    require_lock({name: read_json(folder / "witness/run.json", "/packages") for name, folder in vars(inputs).items()})
    shutil.rmtree(release, ignore_errors=True)
    for path, origin in origins(inputs):
        share(origin, release / path)
    write_json(release / "logs" / "packages.json", sbom.installed())
    write_json(release / "logs" / "release" / "commit.json", checkout())
    write_json(release / osaid.REQUEST, config.request)
    write_json(release / "code" / "config.json", plain(config.resolved))
    write_json(release / "code" / "overrides.json", list(config.settings))
    for path, text in reuse.texts(release).items():
        write_bytes(release / path, text)
    step = next_step(release, inputs.tokens)
    if step is not None:
        write_json(release / "checkpoints" / "next_step.json", step)
    for path, written in WRITTEN.items():
        write_bytes(release / path, written(release))
    write_bytes(release / "logs/weights/loss.svg", loss_chart(release))
    write_bytes(release / "report.html", report(release, manifest_of(release).identity))
    write_manifest(release)


def require_lock(installed: Mapping[str, Mapping[str, str]]) -> None:
    """UserError when a stage ran with other packages than this checkout's lock pins: stage -> name -> version."""
    lock, project = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "pyproject.toml"))
    remedy = "install what is locked (make setup) and remove the stage's folder to make it anew, or lock what ran"
    lines = [f"{name}: {line}; {remedy}" for name, here in installed.items() for line in unlike(lock, project, here)]
    if lines:
        raise UserError("\n".join(lines))


def origins(inputs: Inputs) -> Iterator[tuple[str, Path]]:
    """Each file that is copied as it is: where it stands in the release, and where it comes from."""
    for name, folder in vars(inputs).items():
        for product in manifest(folder).products:
            if place := placed(name, product):
                yield place, folder / product
        yield f"provenance/{name}.json", folder / "manifest.json"
        for path in regular_files(folder / "witness"):
            if not path.startswith("wandb/"):  # a tracker's own files: of no use to a reader, and private
                yield f"logs/{name}/{path}", folder / "witness" / path
    for path in source_tree(ROOT):
        yield f"code/{path}", ROOT / path
    yield "LICENSE", ROOT / "LICENSE"


def source_tree(root: Path) -> dict[str, str]:
    """The source code below `root`: relative path -> SHA-256, without caches and what editors leave behind."""
    names: list[str] = []
    for top in TOP_LEVEL.split():
        names += [top] if (root / top).is_file() else [f"{top}/{path}" for path in regular_files(root / top)]
    return {name: file_digest(root / name) for name in sorted(names) if belongs(name)}


def other_files(release: Path) -> list[str]:
    """The files of `code/`, of any kind, that are not the same in the release and in this clone; its config apart."""
    root = release / "code"
    released = {path: file_digest(root / path) for path in regular_files(root) if f"code/{path}" not in RESOLVED}
    return keys_apart(released, source_tree(ROOT))


def checkout() -> dict[str, Any]:
    """Of which commit this checkout is, and whether its source code is another than that commit's: a witness."""
    commit = repository.commit(ROOT)
    tree = repository.tree(ROOT, commit) if commit else None
    if commit is None or tree is None:
        return {"commit": None, "uncommitted_changes": None}
    here = {path: repository.blob((ROOT / path).read_bytes(), commit) for path in source_tree(ROOT)}
    return {"commit": commit, "uncommitted_changes": here != {p: b for p, b in tree.items() if belongs(p)}}


def belongs(path: str) -> bool:
    """Whether a file of a checkout, by its relative path, is source code that a release holds."""
    return path.split("/")[0] in TOP_LEVEL.split() and not re.search(r"/\.|/__pycache__/|\.pyc$|\.swp$|~$", path)


def manifest_of(release: Path) -> Listing:
    """`MANIFEST.json`: digest and size of every file, products and witnesses apart, and the identity."""
    files = products_of(release, listed_files(release))
    products = {path: file for path, file in files.items() if not path.startswith(WITNESSES)}
    return Listing(digest_of(products), products, {path: files[path] for path in files.keys() - products.keys()})


def write_manifest(release: Path) -> None:
    write_json(release / "MANIFEST.json", asdict(manifest_of(release)))


# What is written from the release's own files ------------------------------------------------------------------------


def config_json(release: Path) -> dict[str, Any]:
    """`config.json`, as transformers reads it."""
    words = tokenizer.load(release)
    return hugging_face_config(model_config(release), words.vocabulary, words.end_of_text)


def generation_config(release: Path) -> dict[str, Any]:
    """`generation_config.json`: the mark that begins and ends a text."""
    mark = tokenizer.load(release).end_of_text
    return {"bos_token_id": mark, "eos_token_id": mark, "pad_token_id": mark}


def tokenizer_config(release: Path) -> dict[str, Any]:
    """`tokenizer_config.json`: how texts are marked, padded and cut for the model."""
    return tokenizer.hugging_face_config(model_config(release).context)


def model_config(release: Path) -> ModelConfig:
    return build(ModelConfig, read_json(release / "code/config.json", "/model"))


def model_of(release: Path) -> Transformer:
    """The release's model on the CPU. Raises UserError when the weights do not fit the config."""
    return load_model(release, model_config(release), tokenizer.load(release).vocabulary)


@torch.no_grad()
def logits(release: Path) -> list[dict[str, Any]]:
    """`evaluation/logits.json`: for fixed prompts the likeliest next tokens and their logits, rounded."""
    words, model = tokenizer.load(release), model_of(release)
    records = []
    for prompt in PROMPTS:
        tokens = [words.end_of_text, *words.encode([prompt])[0]][-model.config.context :]
        top = model(torch.tensor([tokens]))[0, -1].topk(LOGITS_KEPT)
        best = [{"token": int(t), "logit": round(float(v), 4)} for t, v in zip(top.indices, top.values, strict=True)]
        records.append({"prompt": prompt, "tokens": tokens, "next": best})
    return records


def facts(release: Path) -> dict[str, Any]:
    """`provenance/facts.json`: what follows from config and data by arithmetic."""
    fit, model = fit_config(release), model_of(release)
    seen = tokens_seen(fit.training.steps, fit.training.batch, model.config.context)
    mixture = {"mixture": fit.order(folder_of(release, "tokens")).table()} if fit.training.mixture else {}
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens_seen": seen,
        "passes": round(seen / read_json(release / "data/tokens.json", "/train/tokens"), 4),
        "flops": seen * model.flops_per_token(),  # method: the docstring of `flops_per_token`
        **mixture,
    }


def checkpoints_of(release: Path) -> list[Path]:
    return sorted((release / "checkpoints").glob("step-*"))


def chain(release: Path) -> dict[str, Any]:
    """`provenance/chain.json`: what training was bound to before its first step, and a link for each checkpoint.

    The commitment holds nothing but config, code, data and seed, all of which the key of the artifact `weights` fixes
    before anything runs. Each link is the digest of the link before and of the checkpoint's files: whoever knows the
    last link knows that no checkpoint was exchanged, left out or put in later.
    """
    path = release / "provenance/weights.json"
    record = artifact.read_manifest(path)
    commitment = {
        "config": artifact.digest(record.config),
        "code": artifact.digest(record.code),
        "data": {name: entry.products for name, entry in record.inputs.items()},
        "seed": read_json(path, "/config/training/seed"),
    }
    links: list[dict[str, Any]] = []
    value = artifact.digest(commitment)
    for folder in checkpoints_of(release):
        state = read(State, folder / STATE)
        value = artifact.digest({"previous": value, "step": state.step, "files": state.files})
        links.append({"checkpoint": folder.name, "step": state.step, "digest": value})
    return {"commitment": commitment, "digest": artifact.digest(commitment), "links": links}


def fit_config(release: Path) -> FitConfig:
    """The settings of model and training in the release's configuration."""
    config = read_json(release / "code" / "config.json")
    return build(FitConfig, {name: config.get(name) for name in ("model", "training")})


def resumed(release: Path, checkpoint: Path | None, device: str = "cpu") -> tuple[int, Transformer, Optimizer]:
    """Steps taken, model and optimizer: as a checkpoint holds them, or, where that is None, before step 1.

    Raises UserError when the checkpoint does not fit the config.
    """
    config = fit_config(release)
    model = initial_model(config, tokenizer.load(release).vocabulary, release / initial.FOLDER)
    model = config.training.numerics.place(model, device, config.training.batch)
    optimizer = Optimizer(model, config.training.optimizer, config.training.numerics)
    if not checkpoint:
        return 0, model, optimizer
    saved = load(checkpoint)
    try:
        load_weights(model, saved.weights)
        restore(optimizer.state, saved.optimizer)
    except ValueError as error:
        raise UserError(f"{checkpoint}: {error}") from None
    return saved.step, model, optimizer


def next_step(release: Path, tokens: Path) -> dict[str, Any] | None:
    """`checkpoints/next_step.json`: the digests that one more step after the first checkpoint leads to.

    None when no checkpoint but the last was kept. `tokens` is the artifact of that name. Under `exact` the
    digests are the same anywhere; otherwise they hold on the recorded stack.
    """
    config = fit_config(release)
    step, model, optimizer = resumed(release, checkpoints_of(release)[0])
    if step >= config.training.steps:
        return None
    batch = config.order(tokens).batch_at(read_tokens(tokens, "train"), step)
    gradients(model.train(), batch, model.exact.groups if model.exact else config.training.batch)
    optimizer.step(step, config.training.steps, optimizer.gradient_norm())
    with tempfile.TemporaryDirectory() as folder:
        write_tensors(Path(folder) / WEIGHTS, weights_of(model))
        write_tensors(Path(folder) / OPTIMIZER, optimizer.state)
        digests = {name: file_digest(Path(folder) / name) for name in (WEIGHTS, OPTIMIZER)}
    return {"from_step": step, "to_step": step + 1, "files": digests}


def _json(make: Callable[[Path], Any]) -> Callable[[Path], bytes]:
    return lambda release: as_json(make(release))


# In the order in which they need each other: path -> what makes its bytes from the folder.
WRITTEN: dict[str, Callable[[Path], bytes]] = {
    "config.json": _json(config_json),
    "generation_config.json": _json(generation_config),
    "tokenizer_config.json": _json(tokenizer_config),
    "data/statistics.json": _json(statistics),
    "evaluation/logits.json": _json(logits),
    "provenance/facts.json": _json(facts),
    "provenance/chain.json": _json(chain),
    "provenance/bom.json": _json(sbom.bill),
    "REUSE.toml": reuse.reuse_toml,
    "NOTICE": reuse.notice,
    "CITATION.cff": model_card.citation,
    "data/README.md": data_card.data_card,
    "data/croissant.json": _json(croissant.croissant),
    "provenance/mof.yml": mof.mof_yml,
    **{path: partial(forms.page, name=name) for path, name in forms.pages().items()},
    model_card.SCORES: model_card.eval_results,
    "README.md": model_card.model_card,
    "openness.json": _json(osaid.openness_json),
}
