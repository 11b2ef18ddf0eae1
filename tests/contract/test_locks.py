"""The lock files fit pyproject.toml and name no place to download from: any mirror serves."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
ASKED = {
    "requirements.lock": PROJECT["project"]["dependencies"],
    "requirements-dev.lock": PROJECT["project"]["dependencies"] + GROUPS["dev"],
    "requirements-bootstrap.lock": GROUPS["bootstrap"],
    "requirements-proto.lock": GROUPS["proto"],
}
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; [^:@/]+)?(?: --hash=sha256:\w{64})+"
)


@pytest.mark.parametrize("name", ASKED)
def test_each_entry_is_name_version_and_hashes(name: str) -> None:
    assert [entry for entry in entries(name) if not ENTRY.fullmatch(entry)] == []


@pytest.mark.parametrize("name", ASKED)
def test_everything_asked_for_is_locked_at_that_version(name: str) -> None:
    locked = {
        (found["name"], found["version"]) for found in map(ENTRY.match, entries(name)) if found
    }
    names = {package for package, _ in locked}
    for asked in ASKED[name]:
        package, _, version = re.sub(r"\[.*\]", "", asked).partition("==")
        assert package == "carelane" or package in names, package
        assert not version or (package, version) in locked, asked


def entries(name: str) -> list[str]:
    text = (ROOT / name).read_text("utf-8")
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines()]
