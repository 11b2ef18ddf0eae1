"""`python -m bff`: the BFF alone, joined to the server by gRPC."""

import uvloop

from bff.serve import run
from bff.settings import Settings

if __name__ == "__main__":
    uvloop.run(run(Settings()))
