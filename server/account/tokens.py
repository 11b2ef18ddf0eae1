"""The tokens of links: derived from the id of a proof, so that none is stored.

A copy of the database is worth nothing without the key, and the job that writes a mail makes the
token anew. It says the id, and 32 bytes of a keyed hash of the purpose and the id.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from uuid import UUID

ID_BYTES = 16
CODE_DIGITS = 6


class ProofTokens:
    """Derives with the first key; tokens derived with an older one are still recognised."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def token(self, purpose: str, proof_id: UUID) -> str:
        """Answer the token of a proof."""
        made = proof_id.bytes + _derive(self._keys[0], purpose, proof_id)
        return base64.urlsafe_b64encode(made).decode()

    def read(self, purpose: str, token: str) -> UUID | None:
        """Answer whose token this is; None for one that was not made for this purpose."""
        try:
            said = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        if len(said) <= ID_BYTES:
            return None
        proof_id = UUID(bytes=said[:ID_BYTES])
        derived = (_derive(key, purpose, proof_id) for key in self._keys)
        right = [hmac.compare_digest(each, said[ID_BYTES:]) for each in derived]
        return proof_id if any(right) else None

    def code(self, proof_id: UUID) -> str:
        """Answer the code of a proof that is given by typing."""
        return _code(self._keys[0], proof_id)

    def is_code(self, proof_id: UUID, code: str) -> bool:
        """Tell whether this is the code of the proof."""
        right = [hmac.compare_digest(_code(key, proof_id), code) for key in self._keys]
        return any(right)


def _code(key: bytes, proof_id: UUID) -> str:
    number = int.from_bytes(_derive(key, "code", proof_id)) % 10**CODE_DIGITS
    return f"{number:0{CODE_DIGITS}}"


def _derive(key: bytes, purpose: str, proof_id: UUID) -> bytes:
    return hmac.digest(key, f"{purpose}\0{proof_id}".encode(), "sha256")
