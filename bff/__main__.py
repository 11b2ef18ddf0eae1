"""`python -m bff`: the BFF alone, joined to the server by gRPC."""

import asyncio

from bff.serve import run
from bff.settings import Settings

if __name__ == "__main__":
    asyncio.run(run(Settings()))
