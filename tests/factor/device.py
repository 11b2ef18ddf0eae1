"""What people hold in their hands: authenticator apps, and passkeys made of software."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url as text

from server.factor import totp
from tests.auth.auth_client import PASSWORD, Auth, Person

ORIGIN = "https://carelane.example"
PRESENT, VERIFIED, ATTESTED = 1, 4, 64


@dataclass
class App:
    """An authenticator app with the secret of one account."""

    auth: Auth
    secret: str

    def code(self, steps: int = 0) -> str:
        """Answer the code of now, or of so many steps of 30 seconds later."""
        later = timedelta(seconds=30 * steps)
        return totp.code(self.secret, self.auth.db.clock.now() + later)


async def add_app(auth: Auth, person: Person, name: str = "Phone") -> tuple[App, list[str]]:
    """Add an authenticator app to somebody, and answer it with the recovery codes."""
    added = await auth.AddTotp(token=person.token, name=name)
    app = App(auth, added.secret)
    # the code of a step ago, so that those of now are left
    answer = await auth.ConfirmTotp(
        token=person.token, factor_id=added.factor_id, code=app.code(-1)
    )
    return app, list(answer.recovery_codes)


@dataclass
class Passkey:
    """A passkey: a key pair of P-256 whose private half never leaves."""

    origin: str = ORIGIN
    counts: bool = True
    credential_id: bytes = field(default_factory=lambda: uuid4().bytes)
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    uses: int = 0

    def create(self, options: str) -> str:
        """Do what `navigator.credentials.create` does."""
        asked = json.loads(options)
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id
        data = self._data(asked["rp"]["id"], ATTESTED) + attested + cbor2.dumps(public)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", asked["challenge"])
        return self._credential(attestationObject=text(attestation), clientDataJSON=text(client))

    def get(self, options: str, **changes: Any) -> str:
        """Do what `navigator.credentials.get` does."""
        asked = json.loads(options)
        data = self._data(asked["rpId"], 0)
        client = self._client("webauthn.get", asked["challenge"])
        signed = data + hashlib.sha256(client).digest()
        response = {
            "authenticatorData": text(data),
            "clientDataJSON": text(client),
            "signature": text(self.key.sign(signed, ec.ECDSA(SHA256()))),
        }
        return self._credential(**(response | changes))

    def _data(self, domain: str, flags: int) -> bytes:
        self.uses += self.counts
        head = hashlib.sha256(domain.encode()).digest()
        return head + bytes([PRESENT | VERIFIED | flags]) + self.uses.to_bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin}
        return json.dumps(said).encode()

    def _credential(self, **response: str) -> str:
        name = text(self.credential_id)
        made = {"id": name, "rawId": name, "type": "public-key", "response": response}
        return json.dumps(made | {"clientExtensionResults": {}})


async def add_passkey(auth: Auth, person: Person, passkey: Passkey) -> Any:
    """Add a passkey to somebody, and answer what the service says."""
    options = (await auth.BeginPasskey(token=person.token)).options
    credential = passkey.create(options)
    return await auth.AddPasskey(token=person.token, name="Key", credential=credential)


async def begin(auth: Auth, person: Person) -> str:
    """Sign in with the password; answer the token that the second factor goes on with."""
    answer = await auth.Login(email=person.email, password=PASSWORD)
    assert not answer.HasField("session")
    return str(answer.second_factor.pending_token)
