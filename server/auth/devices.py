"""What a person is shown of their devices, so that they know a stranger's among them."""

import ipaddress
import re
from typing import NamedTuple

# The first that fits: what calls itself Chrome, too, comes before Chrome.
_PROGRAMS = (
    ("Edge", r"Edg(e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Safari/"),
    ("App", r"grpc-(java|objc|swift|kotlin)|okhttp|CFNetwork|Dart/"),
    ("Command line", r"curl/|Wget/|grpcurl|buf"),
    ("Program", r"grpc-|python|node|Go-http|Java/"),
)
_SYSTEMS = (
    ("iPad", r"iPad"),
    ("iPhone", r"iPhone|iOS"),
    ("Android", r"Android|okhttp|grpc-java"),
    ("Windows", r"Windows"),
    ("ChromeOS", r"CrOS"),
    ("macOS", r"Mac OS X|Macintosh|Darwin"),
    ("Linux", r"Linux|linux"),
)
_COARSE = {4: 24, 6: 48}


class Device(NamedTuple):
    """What is kept of where a session was opened: kinds and a coarse network, no fingerprint."""

    name: str
    network: str


def device(user_agent: str, address: str) -> Device:
    """Answer the family of a client and the network around its address."""
    program, system = _first(_PROGRAMS, user_agent), _first(_SYSTEMS, user_agent)
    return Device(" on ".join(filter(None, (program, system))), _around(address))


def _first(kinds: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for name, pattern in kinds if re.search(pattern, text)), "")


def _around(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((int(parsed), _COARSE[parsed.version]), strict=False))
