"""The page on the life of a request names what is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/life-of-a-request.md").read_text()
FILE = re.compile(r"`((?:server|bff|migrations|tests|proto|launch)/[\w./]+)`")


def defines(path: str, name: str) -> bool:
    """Tell whether a file defines a function, class or constant; `Class.method` is the method."""
    last = re.escape(name.rsplit(".", 1)[-1])
    return bool(re.search(rf"(def|class) {last}\b|^{last}\b.*=", (ROOT / path).read_text(), re.M))


def named() -> list[tuple[str, str]]:
    """Answer (file, name) for each row of the first table and each "`name` in `file`"."""
    rows = re.findall(r"^\| \d+ \| `([^`]+)` \| ([^|]+) \|", PAGE, re.M)
    pairs = [(path, name) for path, cell in rows for name in re.findall(r"`([^`]+)`", cell)]
    inline = re.findall(r"`([\w.]+)`\s+(?:in|\()\s*`([\w./]+\.py)`", PAGE)
    return pairs + [(path, name) for name, path in inline]


def test_every_file_it_names_is_there() -> None:
    found = FILE.findall(PAGE)
    assert len(found) > 20
    assert [path for path in found if not (ROOT / path).exists()] == []


def test_every_name_it_gives_is_defined_there() -> None:
    pairs = named()
    assert len(pairs) > 20
    assert [(path, name) for path, name in pairs if not defines(path, name)] == []


def test_every_page_it_links_is_there() -> None:
    links = re.findall(r"\]\(([\w./-]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
