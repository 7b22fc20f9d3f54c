"""Hydra: the configuration that overrides compose to, or what is wrong with them in one line; no other module has it.

Whatever Hydra, OmegaConf or the YAML library raise meanwhile is about what somebody wrote, in a file or on the command
line, so all of it is told as a ConfigError that names the file and the line, or the override.
"""

import functools
import itertools
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from train.artifact import read_json
from train.config import build, strings
from train.data.sources.spec import slug
from train.errors import ConfigError, UserError, did_you_mean
from train.initial import identity_of
from train.keys import ROOT
from train.machine import Machine

CONFIGS = next(path for path in (ROOT / "configs", ROOT / "train" / "configs") if path.is_dir())  # or in a wheel
HOW = ("machine", "until", "overrides", "settings")  # what of a configuration makes nothing another
RESERVED = ("true", "false", "null", "nan", "inf")
OWN_PAIRS = "en"  # the language of the minimal pairs that this program writes
SIGNS, SIGNED = r"([\\()\[\]{}:=, ])", r"\\\1"  # that a backslash takes the meaning from
OTHER_NUMBER = re.compile(
    r"(?m)^[ \t]*(?:- +)?(?:[\w.-]+: +)?([-+]?(?:0[0-7_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+))[ \t]*(?:#.*)?\r?$"
)
# What an interpolation takes from outside the files and the words that were typed.
OUTSIDE = re.compile(r"\$\{\s*(oc\.env|now|hydra|python_version)\s*:")
T = TypeVar("T")


def compose(overrides: list[str]) -> dict[str, Any]:
    """The configuration that `overrides` ask for, as a plain mapping; ConfigError in one line when they do not fit."""
    import hydra

    check(overrides)
    refuse_other_values()
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            composed = container(overrides)
        except ConfigError:
            raise
        except Exception as error:  # of three libraries and of what they call
            raise ConfigError([problem(error, overrides)]) from None
    begun_with(composed)
    return {**composed, "overrides": overrides, "settings": settings(composed)}


def begun_with(composed: dict[str, Any]) -> None:
    """Put the identity of a release in the place of the folder that `training.init_from` may be."""
    where = (composed.get("training") or {}).get("init_from")
    if isinstance(where, str) and not re.fullmatch("[0-9a-f]{64}", where):
        try:
            composed["training"]["init_from"] = identity_of(Path(where))
        except UserError as error:
            raise ConfigError([f"training.init_from: expected a release's folder or its identity; {error}"]) from None
        composed["machine"]["init_from"] = where


def requested(overrides: list[str], config: Path | None, multirun: bool) -> list[dict[str, Any]]:
    """The configurations that a command line asks for, of each combination of its overrides if `multirun`."""
    choices = combinations(overrides) if multirun else [overrides]
    return [kept(config, choice) if config else compose(choice) for choice in choices]


def how(overrides: list[str]) -> dict[str, Any]:
    """The groups that only say how to run, `machine` and `until`, with `overrides` of these and nothing else."""
    for text in overrides:
        if not text.lstrip("+~").startswith(("machine", "until")):
            raise ConfigError([f"{text}: what is made is settled; only machine.KEY=VALUE and until=NAME can be set"])
    composed = compose(overrides)
    return {name: composed[name] for name in ("machine", "until")}


def machine_of(overrides: list[str]) -> Machine:
    """The machine options that some overrides of `machine` set, and the defaults of its config."""
    return build(Machine, how(overrides)["machine"])


def kept(config: Path, overrides: list[str]) -> dict[str, Any]:
    """The configuration that a release keeps as `code/config.json`, run in the way that `overrides` ask for."""
    if not isinstance(resolved := read_json(config), dict):
        raise ConfigError([f"{config}: expected a mapping, as code/config.json of a release"])
    return {**settled(resolved, how(overrides)), "overrides": overrides}


def settled(resolved: Mapping[str, Any], way: Mapping[str, Any]) -> dict[str, Any]:
    """A whole configuration: what `resolved` says to make, in a certain `way`."""
    composed = json.loads(json.dumps({**resolved, **way}))
    return {**composed, "settings": settings(composed)}


def overrides_of(resolved: Mapping[str, Any]) -> list[str]:
    """The overrides that lead to a configuration as a release keeps it; empty where none could say it."""
    return settings({**resolved, "until": "release"})


def placeless(composed: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as a release keeps it: without how to run, and without where sources are looked for."""
    kept: dict[str, Any] = json.loads(json.dumps({n: value for n, value in composed.items() if n not in HOW}))
    for group in (kept["data"], kept["benchmarks"]):
        for source in group["raw"]["sources"] if group["raw"] else ():
            here = {"path": slug(source["purl"]), "mirrors": []}
            source.update({name: value for name, value in here.items() if name in source})
    return kept


def container(overrides: list[str]) -> dict[str, Any]:
    """The configuration that Hydra composes, with interpolations resolved; it must have been initialized."""
    import hydra
    from omegaconf import OmegaConf

    words = [text.lstrip("+").partition("=")[::2] for text in overrides]
    refuse_several(words)
    composed = hydra.compose("pipeline", overrides)
    typed = {path for override in check(overrides) for path, _ in leaves({override.key_or_group: override.value()})}
    for path, value in sized(dict(words).get("model", "")):  # over a recipe's own numbers, and under those typed
        if path not in typed:
            OmegaConf.update(composed, path, value)
    refuse_undecided(OmegaConf.to_container(composed))
    resolved: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    if not any(key.startswith("benchmarks") for key, _ in words) and not reads(resolved, OWN_PAIRS):
        resolved["benchmarks"]["pairs"] = None
    return resolved


def refuse_several(words: Sequence[tuple[str, str]]) -> None:
    """ConfigError where several configs of one group are asked for, typed or in a file: the last alone would count."""
    from omegaconf import OmegaConf

    several = [f"{key}={value}" for key, value in words if value.startswith("[") and (CONFIGS / key).is_dir()]
    typed = dict(words)
    paths = [CONFIGS / group / f"{typed[group]}.yaml" for group in ("recipe", "data") if group in typed]
    for path in paths:
        try:
            config: Any = OmegaConf.load(path)
            defaults: Any = OmegaConf.to_container(OmegaConf.create(list(config.get("defaults") or [])))
        except Exception:  # of which Hydra tells
            continue
        where = path.relative_to(CONFIGS.parent)
        chosen = [item for entry in defaults if isinstance(entry, dict) for item in entry.items()]
        several += [f"{where}: {group}: {value}" for group, value in chosen if isinstance(value, list)]
        paths += [CONFIGS / "data" / f"{value}.yaml" for group, value in chosen if group == "override /data"]
        named = [name for name in defaults if isinstance(name, str) and name != "_self_"]
        if path.parent.name == "data" and len(named) > 1 and "sources" not in (config.get("raw") or ()):
            several.append(f"{where}: {named}")
    if several:
        remedy = "one name at a time, for the last alone would count; a corpus of several lists all in its raw.sources"
        raise ConfigError([f"{text}: {remedy}" for text in several])


def refuse_undecided(composed: Any, where: str = "") -> None:
    """ConfigError for each value that is missing or, but for how to run, that a machine or a clock would decide."""
    problems = []
    for names, text in strings(composed):
        path = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in names)[1:]
        if text == "???":
            problems.append(f"{where}{path}: '???' stands for no value; write one")
        elif OUTSIDE.search(text) and not where and not path.startswith("machine."):
            remedy = "write the value itself; only how to run (machine) may depend on where it runs"
            problems.append(f"{path}: '{text}' is another value elsewhere; {remedy}")
    if problems:
        raise ConfigError(problems)


def refuse_other_values() -> None:
    """ConfigError for what a config file says otherwise than people: numbers by 8 or by 60, and no value."""
    from omegaconf import OmegaConf

    for path in sorted(CONFIGS.rglob("*.yaml")):
        text, where = path.read_bytes().decode(errors="replace"), path.relative_to(CONFIGS.parent)
        if text.startswith("\ufeff"):  # Hydra would not see the head below it
            raise ConfigError([f"{where}: begins with a byte order mark; save the file as UTF-8 without one"])
        if match := OTHER_NUMBER.search(text):
            line = text[: match.start(1)].count("\n") + 1
            remedy = "to YAML, by 8 or by 60; write it without a zero first, or in quotes"
            raise ConfigError([f"{where}, line {line}: {match[1]} is another number {remedy}"])
        try:
            unset = OmegaConf.to_container(OmegaConf.load(path)) if "???" in text else {}
        except Exception:  # of which Hydra tells
            continue
        refuse_undecided(unset, f"{where}: ")  # which would leave what stands before it as it was


def sized(model: str) -> Iterator[tuple[str, Any]]:
    """Dotted path and value of each setting in the config file of a `model` that somebody typed."""
    from omegaconf import OmegaConf

    path = CONFIGS / "model" / f"{model}.yaml"
    if model and path.is_file():
        settings: Any = OmegaConf.to_container(OmegaConf.load(path))
        whole = "@package _global_" in path.read_text(encoding="utf-8")
        yield from leaves(settings if whole else {"model": settings})


def leaves(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten a nested mapping: dotted path and value of each leaf."""
    for name, value in mapping.items():
        yield from leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]


def reads(composed: Mapping[str, Any], language: str) -> bool:
    """Whether texts may be in a language, as far as the sources tell theirs."""
    try:
        tags = {str(source.get("language", "und")).partition("-")[0] for source in composed["data"]["raw"]["sources"]}
    except (KeyError, TypeError, AttributeError):  # of which `build` tells
        return True
    return bool(tags & {language, "mul", "und", "TODO"})


def settings(composed: Mapping[str, Any]) -> list[str]:
    """The overrides that lead to a configuration: the nearest recipe and what differs; empty if none could say it."""
    if composed.get("until") != "release":
        return []
    names = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
    try:
        wanted = placeless(composed)
        apart_from = lambda name: len(list(differences(base(f"recipe={name}"), wanted)))  # noqa: E731
        name = wanted["name"] if wanted["name"] in names else min(names, key=apart_from)
        words = [f"recipe={name}"]
        if base(*words)["data"]["name"] != (data := str(wanted["data"]["name"])):
            words += [f"data={data}"] if (CONFIGS / "data" / f"{data}.yaml").is_file() else []
        changes = dict(differences(base(*words), wanted))
        known = {*dotted_paths(base(*words))}
        words += [f"{'' if path in known else '+'}{path}={spelled(value)}" for path, value in changes.items()]
        simple = all(isinstance(value, int | float) or str(value).isidentifier() for value in changes.values())
        return words if (simple and known >= changes.keys()) or base(*words) == wanted else []
    except Exception:  # of a recipe that asks for more, or of a value that no override can say
        return []


@functools.cache
def base(*words: str) -> dict[str, Any]:
    """The configuration of some overrides, as a release would keep it."""
    import hydra

    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return placeless(container(list(words)))


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of each setting of `after` that is not as in `before`, in the order of their names."""
    for name, value in sorted(after.items()):
        if isinstance(value, dict) and isinstance(before.get(name), dict) and value.keys() >= before[name].keys():
            yield from differences(before[name], value, f"{prefix}{name}.")
        elif name not in before or value != before[name] or isinstance(value, bool) != isinstance(before[name], bool):
            yield prefix + name, value


def spelled(value: Any) -> str:
    """A value in the grammar of Hydra's overrides, without quotes where it means the same without."""
    if isinstance(value, dict):
        items = (f"{re.sub(SIGNS, SIGNED, key)}:{spelled(item)}" for key, item in sorted(value.items()))
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(spelled, value)) + "]"
    if isinstance(value, str) and (not re.fullmatch(r"[A-Za-z_]([\w .-]*\w)?", value) or value.lower() in RESERVED):
        return f'"{quoted(value)}"'
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as most people type it; a setting that is a float is one all the same
    return value if isinstance(value, str) else json.dumps(value)


def combinations(overrides: list[str]) -> list[list[str]]:
    """Every combination of the values that `--multirun` overrides list."""
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [o.input_line or ""]
        for o in check(overrides)
    ]
    return [list(choice) for choice in itertools.product(*choices)]


def built(cls: type[T], mapping: dict[str, Any]) -> T:
    """`config.build`, which also tells how to type an override whose value was read as something else than text."""
    try:
        return build(cls, mapping)
    except ConfigError as error:
        words = [text.lstrip("+").partition("=")[::2] for text in mapping["overrides"]]
        hints = {f"{key}: expected str": f": {typed(key, value)}" for key, value in words}
        lines = [line + next((hints[head] for head in hints if line.startswith(head)), "") for line in error.problems]
        raise ConfigError(lines) from None


def check(overrides: list[str]) -> list[Any]:
    """The overrides as Hydra parses them; ConfigError that names each one that cannot be read or means nothing here."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, parsed, problems = OverridesParser.create(), [], []
    for text in overrides:
        if re.match(r"[+~]*hydra\b", text):
            problems.append(f"{text}: Hydra's own settings mean nothing here")
            continue
        try:
            parsed += parser.parse_overrides([text])
        except (HydraException, ValueError, RecursionError):
            problems.append(f"{' '.join(text.split())}: {remedy(text)}")
    if problems:
        raise ConfigError(problems)
    return parsed


def remedy(text: str) -> str:
    """How an override that cannot be read should be typed."""
    key, equals, value = text.partition("=")
    if "\n" in text:
        return "expected one line"
    if not equals or not re.fullmatch(r"[+~]*[A-Za-z_][\w.@/:-]*", key):
        return "expected KEY=VALUE, such as training.steps=50"
    if value[:1] + value[-1:] in ("[]", "{}"):
        return "a list or mapping with such signs is written in a recipe, as those in configs/recipe"
    return f"a value with such signs stands in quotes, and these in the shell's: {typed(key, value)}"


def typed(key: str, value: str) -> str:
    """An override whose value is text whatever it holds, as it is typed in a shell."""
    return shlex.quote(f'{key}="{quoted(value)}"')


def quoted(text: str) -> str:
    """Text as it stands between double quotes in an override."""
    return re.sub(r'(?<!\\)(\\*)("|$)', lambda match: 2 * match[1] + match[2].replace('"', '\\"'), text)


def problem(error: Exception, overrides: list[str]) -> str:
    """The error of composing, in one line that names a file and a line, or an override."""
    said = str(error) or str(error.__cause__ or "") or type(error).__name__
    text = " ".join(said.split("Config search path")[0].split("full_key:")[0].split())[:300]
    if unknown := re.match(r"Could not override '([^']+)'", text):
        return f"{unknown[1]}: no such key{did_you_mean(unknown[1], list(dotted_paths(container([]))))}"
    interpolated = [o for o in overrides if "${" in o and fails_alike(error, container, [o])]
    if not interpolated and (where := place(error)):
        return where
    culprit = next((o for o in [*interpolated, *overrides] if fails_alike(error, container, [o])), None)
    return text if culprit is None or culprit in text else f"{culprit}: {text}"


def fails_alike(error: Exception, attempt: Callable[[Any], Any], subject: Any) -> bool:
    """Whether the `attempt` at one thing alone fails in the same way."""
    try:
        attempt(subject)
    except Exception as again:
        return type(again) is type(error) and (str(again) == str(error) or isinstance(error, RecursionError))
    return False


def place(error: Exception) -> str:
    """The config file and line that an error is about, and what is wrong there; empty where it is about none."""
    for path in sorted(CONFIGS.rglob("*.yaml")):
        if fault := first_fault(path, error) or faulty_reference(path, error):
            line, what = fault
            return f"{path.relative_to(CONFIGS.parent)}, line {line}: {what}"
    return ""


def faulty_reference(path: Path, error: Exception) -> tuple[int, str] | None:
    """Line and description of an interpolation or a package that cannot be resolved, if it stands in a config file."""
    what, _, key = (str(error) or str(error.__cause__)).partition("full_key: ")
    name = re.findall(r"[A-Za-z_]\w*", key.split("\n")[0])[-1:]
    missing = re.escape("".join(re.findall(r"Interpolation key '([^']*)'", what)))
    package = r"#\s*@package\b.*\S\s+\S" if "@package" in what else r"(?!)"
    wanted = rf"\s*(- )?{name[0]}\s*:.*\$\{{{missing}" if name else package
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if re.match(wanted, line):
            return number, " ".join(what.split())
    return None


def first_fault(path: Path, error: Exception) -> tuple[int, str] | None:
    """Line and description of what cannot be read in a config file, if it fails as `error` did."""
    import yaml
    from omegaconf import OmegaConf

    if not fails_alike(error, OmegaConf.load, path):
        return None
    data = path.read_bytes()
    if isinstance(error, UnicodeDecodeError):
        byte = data[error.start]
        return data[: error.start].count(b"\n") + 1, f"is not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8"
    if isinstance(error, yaml.reader.ReaderError):
        return data.decode()[: int(error.position)].count("\n") + 1, f"{error.reason}; take the character out"
    if isinstance(error, yaml.MarkedYAMLError):
        what = error.problem or str(error.context)
        # A quote that nothing ends is told where it begins.
        mark = error.context_mark if "end of stream" in what else error.problem_mark
        wrong = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
        advice = "; a value with a colon, a hash sign or a bracket stands in quotes" if wrong else ""
        return (mark.line + 1 if mark else 1), what + advice
    return faulty_scalar(data.decode()), f"{str(error)[:200]}; a value that is meant as text stands in quotes"


def faulty_scalar(text: str) -> int:
    """The line of the first value that YAML takes for a number or the like, and that is none; 1 where there is none."""
    import yaml
    from omegaconf._utils import get_yaml_loader

    loader, line = get_yaml_loader(), 1
    try:
        for event in yaml.parse(text, loader):
            line = int(event.end_mark.line) + 1
            if isinstance(event, yaml.ScalarEvent) and event.style is None:
                try:
                    yaml.load(event.value, loader)  # a safe loader, of plain values alone
                except Exception:
                    return int(event.start_mark.line) + 1
    except (RecursionError, ValueError):  # an escape of a letter that there is not
        return line
    return 1


def dotted_paths(mapping: Any, prefix: str = "") -> Iterator[str]:
    """The dotted path of every key at any depth, for hints."""
    for name, value in mapping.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from dotted_paths(value, f"{prefix}{name}.")
