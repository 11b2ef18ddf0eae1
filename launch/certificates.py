"""The files of TLS, looked at before gRPC uses them: it would only say that it cannot listen."""

from __future__ import annotations

import ssl
from pathlib import Path

from launch.errors import Refusal


def refuse_pair(certificate: str, key: str) -> None:
    """Refuse TLS_CERT_FILE and TLS_KEY_FILE unless they belong together, or are not set."""
    if not certificate:
        return
    _read("TLS_CERT_FILE", certificate)
    _read("TLS_KEY_FILE", key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as failure:
        raise Refusal(
            f"TLS_CERT_FILE {certificate} and TLS_KEY_FILE {key} are not a certificate in PEM "
            f"and its private key ({failure.reason})."
        ) from None


def refuse_authority(name: str, file: str) -> None:
    """Refuse the setting of this name unless its file has certificates, or it is empty."""
    if not file:
        return
    _read(name, file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError as failure:
        raise Refusal(f"{name} {file} has no certificate in PEM ({failure.reason}).") from None


def _read(name: str, file: str) -> None:
    try:
        Path(file).read_bytes()
    except OSError as failure:
        raise Refusal(f"{name} {file} cannot be read: {failure.strerror}.") from None
