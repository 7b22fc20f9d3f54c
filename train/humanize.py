"""Numbers, byte sizes and durations formatted for people."""

import math
from typing import Any


def shown(value: Any) -> str:
    """A number with its thousands apart or four decimals; anything else as its text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if abs(value) >= 0.0001 else f"{value:g}"


def brief(number: float, unit: str = "") -> str:
    """A number of three digits with its SI prefix and unit: 1.38 MB."""
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:#.3g}".rstrip(".") + f"\N{NO-BREAK SPACE}{prefix}{unit}"
    return f"{number:.3g}\N{NO-BREAK SPACE}{unit}".rstrip()


def byte_size(number: int) -> str:
    """A number of bytes with its binary prefix: 1.5 MiB."""
    power = min(4, max(0, math.ceil(math.log2(number + 1) / 10) - 1))
    return f"{number / 1024**power:.{0 if not power else 1}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def duration(seconds: float) -> str:
    """A time in its two largest units, up to days: 2 h 3 min."""
    minutes, hours, days = (int(seconds) // unit for unit in (60, 3600, 86400))
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{seconds:.1f} s"


def percent(part: float, whole: float) -> float:
    """How much of `whole` is `part`, from 0 to 100; 0 where there is no whole."""
    return round(min(100.0, max(0.0, 100 * part / whole)), 3) if whole else 0.0
