"""Time what runs, and say it as a table."""

import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

MICROS = 1e6
MILLIS = 1e3


@dataclass(frozen=True)
class Times:
    """How long runs of one thing took, in seconds: of a clock on the wall, and of this process."""

    wall: Sequence[float]
    cpu: Sequence[float]

    @property
    def median(self) -> float:
        return quantile(self.wall, 0.5)

    @property
    def p99(self) -> float:
        return quantile(self.wall, 0.99)

    @property
    def median_cpu(self) -> float:
        return quantile(self.cpu, 0.5)

    @property
    def p99_cpu(self) -> float:
        return quantile(self.cpu, 0.99)


def quantile(values: Sequence[float], share: float) -> float:
    """Answer the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def repeatedly(action: Callable[[], object], runs: int) -> Times:
    """Run it once unmeasured, then `runs` times, without collecting garbage meanwhile."""
    action()
    wall, cpu = [], []
    gc.collect()
    gc.disable()
    try:
        for _ in range(runs):
            began, worked = time.perf_counter(), time.process_time()
            action()
            cpu.append(time.process_time() - worked)
            wall.append(time.perf_counter() - began)
    finally:
        gc.enable()
    return Times(wall, cpu)


async def awaited(action: Callable[[], Awaitable[object]], runs: int) -> Times:
    """Await it once unmeasured, then `runs` times."""
    await action()
    wall, cpu = [], []
    for _ in range(runs):
        began, worked = time.perf_counter(), time.process_time()
        await action()
        cpu.append(time.process_time() - worked)
        wall.append(time.perf_counter() - began)
    return Times(wall, cpu)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a Markdown table, its first column to the left and the others to the right."""
    texts = [[_text(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip_longest(*texts, fillvalue="")]
    lines = [_line(row, widths) for row in texts]
    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:]), ""])
    return "\n".join([f"### {title}", "", lines[0], rule, *lines[1:], ""])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return f"| {' | '.join(cells)} |"


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.1f}" if cell < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
