"""The guide to the queue names buttons that are there."""

import re
from pathlib import Path

import pytest

from bff.names import camel
from bff.routes import ROUTES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "queue.md").read_text()
BUTTONS = re.findall(r"\| `(\w+)`\*{0,2} \| `([A-Z]+) ([^`]+)` \|$", PAGE, re.M)
SHOWN = {route.rpc.rpartition(".")[2]: route for route in ROUTES}


@pytest.mark.parametrize(("rpc", "verb", "path"), BUTTONS)
def test_a_button_is_a_call_that_there_is(rpc: str, verb: str, path: str) -> None:
    route = SHOWN[rpc]
    shown = re.sub(r"\{(\w+)\}", lambda found: f"{{{camel(found[1])}}}", route.path)
    assert (route.method, shown) == (verb, path)


def test_every_call_of_the_queue_is_a_button_or_a_screen() -> None:
    ours = {name for name, route in SHOWN.items() if ".QueueService." in route.rpc}
    assert len(ours) == 8
    assert ours <= {rpc for rpc, _, _ in BUTTONS}


def test_every_page_it_links_is_there() -> None:
    links = re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", PAGE)
    assert len(links) == 2
    assert [link for link in links if not (DOCS / link).exists()] == []
