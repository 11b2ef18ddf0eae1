"""`make bench`: what the platform does in a second, its peers beside it, as tables."""

import argparse
import os
import platform as machine
import sys
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks import booking, expansion, reading
from benchmarks.platform import Platform, platform

WITH_DATABASE: dict[str, Callable[[Platform], Awaitable[str]]] = {
    "reading": reading.run,
    "booking": booking.run,
}
PARTS = ("expansion", *WITH_DATABASE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; or all")
    chosen = parser.parse_args().parts or PARTS
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    print(_machine())
    if "expansion" in chosen:
        print(expansion.run())
    wanted = [run for name, run in WITH_DATABASE.items() if name in chosen]
    if wanted:
        uvloop.run(_with_database(wanted))


async def _with_database(parts: list[Callable[[Platform], Awaitable[str]]]) -> None:
    async with platform() as started:
        for run in parts:
            print(await run(started), flush=True)


def _machine() -> str:
    python, cores = sys.version.split()[0], os.cpu_count()
    return f"{cores} cores, {machine.machine()}, Python {python}; load {os.getloadavg()[0]:.1f}\n"


if __name__ == "__main__":
    main()
