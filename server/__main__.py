"""`python -m server`: the gRPC server alone."""

import asyncio
import signal
import sys

import uvloop
from pydantic import ValidationError

from server.core.errors import Unavailable
from server.serve import AddressTaken, serve
from server.settings import Settings


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop=stop)


def main() -> int:
    """Run until SIGINT or SIGTERM; answer 1 when the start is refused."""
    try:
        uvloop.run(_main(Settings()))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        return _refuse("the settings are refused: " + "; ".join(faults))
    except AddressTaken as error:
        return _refuse(str(error))
    except Unavailable:
        return _refuse("the database of DATABASE_URL does not answer")
    return 0


def _refuse(why: str) -> int:
    print(f"server: {why}", file=sys.stderr)  # noqa: T201 - a command says why it ends
    return 1


if __name__ == "__main__":
    sys.exit(main())
