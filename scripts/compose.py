"""The configuration that Hydra overrides ask for, or what is wrong with them in one line: the only file that composes.

Whatever Hydra, OmegaConf or the YAML library raise meanwhile is about what somebody wrote, in a file or on the command
line, so all of it is told as a ConfigError that names the file and the line, or the override.
"""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from train.config import ConfigError, build, did_you_mean

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
T = TypeVar("T")


def compose(overrides: list[str]) -> dict[str, Any]:
    """The configuration that `overrides` ask for, as a plain mapping; ConfigError in one line when they do not fit."""
    import hydra

    check(overrides)
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            composed = container(overrides)
        except Exception as error:  # of three libraries and of what they call
            raise ConfigError([problem(error, overrides)]) from None
    return {**composed, "overrides": overrides}


def container(overrides: list[str]) -> dict[str, Any]:
    """What Hydra composes, resolved; it must have been initialized."""
    import hydra
    from omegaconf import OmegaConf

    resolved: Any = OmegaConf.to_container(hydra.compose("pipeline", overrides), resolve=True)
    return resolved


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
        raise ConfigError([with_typing(line, mapping["overrides"]) for line in error.problems]) from None


def with_typing(line: str, overrides: list[str]) -> str:
    """A problem of `build`; where an override is behind it that should be text, with the way to type that."""
    for text in overrides:
        key, _, value = text.lstrip("+").partition("=")
        if line.startswith(f"{key}: expected str"):
            return f"{line}: {typed(key, value)}"
    return line


def check(overrides: list[str]) -> list[Any]:
    """The overrides as Hydra parses them; ConfigError that names each one that cannot be read or means nothing here."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, parsed, problems = OverridesParser.create(), [], []
    for text in overrides:
        if re.match(r"[+~]*hydra\b", text):
            problems.append(f"{text}: Hydra's own settings mean nothing here, but for hydra.launcher with --submit")
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
    return f"a value with such signs stands in quotes, and these in the shell's: {typed(key, value)}"


def typed(key: str, value: str) -> str:
    """An override whose value is text whatever it holds, as it is typed in a shell."""
    inner = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + found[2].replace('"', '\\"'), value)
    return shlex.quote(f'{key}="{inner}"')


def problem(error: Exception, overrides: list[str]) -> str:
    """What went wrong in composing, in one line that names a file and a line, or an override."""
    text = " ".join((str(error) or type(error).__name__).split("Config search path")[0].split())[:300]
    if unknown := re.match(r"Could not override '([^']+)'", text):
        return f"{unknown[1]}: no such key{did_you_mean(unknown[1], list(dotted_paths(container([]))))}"
    if where := place(error):
        return where
    culprit = next((o for o in overrides if refused(o, error)), None)
    return text if culprit is None or culprit in text else f"{culprit}: {text}"


def refused(override: str, error: Exception) -> bool:
    """Whether the override alone fails in the same way."""
    try:
        container([override])
    except Exception as again:
        return type(again) is type(error) and str(again) == str(error)
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
    wanted = rf"\s*(- )?{name[0]}\s*:.*\$\{{" if name else r"#\s*@package\b.*\S\s+\S" if "@package" in what else r"(?!)"
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if re.match(wanted, line):
            return number, " ".join(what.split())
    return None


def first_fault(path: Path, error: Exception) -> tuple[int, str] | None:
    """Line and description of what cannot be read in a config file, if it fails as `error` did."""
    import yaml
    from omegaconf import OmegaConf

    data = path.read_bytes()
    try:
        OmegaConf.load(path)
    except Exception as again:
        if (type(again), str(again)) != (type(error), str(error)):
            return None
    else:
        return None
    if isinstance(error, UnicodeDecodeError):
        byte = data[error.start]
        return data[: error.start].count(b"\n") + 1, f"is not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8"
    if isinstance(error, yaml.reader.ReaderError):
        return data.decode()[: int(error.position)].count("\n") + 1, f"{error.reason}; take the character out"
    if isinstance(error, yaml.MarkedYAMLError):
        told = error.problem or str(error.context)
        # A quote that nothing ends is told where it begins.
        mark = error.context_mark if "end of stream" in told else error.problem_mark
        wrong = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
        advice = "; a value with a colon, a hash sign or a bracket stands in quotes" if wrong else ""
        return (mark.line + 1 if mark else 1), told + advice
    return faulty_scalar(data.decode()), f"{str(error)[:200]}; a value that is meant as text stands in quotes"


def faulty_scalar(text: str) -> int:
    """The line of the first value that YAML takes for a number or the like, and that is none; 1 where there is none."""
    import yaml
    from omegaconf._utils import get_yaml_loader

    loader = get_yaml_loader()
    try:
        for event in yaml.parse(text, loader):
            if isinstance(event, yaml.ScalarEvent) and event.style is None:
                try:
                    yaml.load(event.value, loader)  # a safe loader, of plain values alone
                except Exception:
                    return int(event.start_mark.line) + 1
    except RecursionError:
        pass
    return 1


def dotted_paths(mapping: Any, prefix: str = "") -> Iterator[str]:
    """The path of every key at any depth, for hints."""
    for name, value in mapping.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from dotted_paths(value, f"{prefix}{name}.")
