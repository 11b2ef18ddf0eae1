"""/api/keys: the keys of programs."""

from typing import Final

from bff.route import Route

_SERVICE: Final = "carelane.key.v1.KeyService"

ROUTES: Final = (
    Route("GET", "/api/keys/scopes", f"{_SERVICE}.GetScopes"),
    Route("GET", "/api/keys", f"{_SERVICE}.ListKeys"),
    Route("POST", "/api/keys", f"{_SERVICE}.CreateKey", status=201),
    Route("POST", "/api/keys/{key_id}/rotate", f"{_SERVICE}.RotateKey"),
    Route("POST", "/api/keys/{key_id}/revoke", f"{_SERVICE}.RevokeKey"),
    Route("POST", "/api/keys/token", f"{_SERVICE}.ExchangeKey"),
)
