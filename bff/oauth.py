"""/oauth/token: a key and its secret for an access token, as OAuth 2 has it (RFC 6749, 4.4)."""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus
from uuid import UUID

import grpc
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bff.body import ClientGone, received
from bff.problem import Problem, of_rpc
from bff.visit import visit_of
from carelane.key.v1 import key_service_pb2 as pb
from carelane.key.v1.key_service_pb2_grpc import KeyServiceStub

PATH: Final = "/oauth/token"
FORM: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 20
GRANT: Final = "client_credentials"
_NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_ASK_BASIC: Final = {"WWW-Authenticate": 'Basic realm="carelane", charset="UTF-8"'}


class Refused(Exception):
    """A refusal in the words of OAuth: `error` is a code of RFC 6749, 5.2."""

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = {**_NOT_KEPT, **(headers or {})}
        self.document = {"error": error, "error_description": description}


def routes(channel: grpc.aio.Channel, timeout: float, clock: Callable[[], float]) -> list[Route]:
    """Answer the token endpoint over a channel; `clock` answers seconds since 1970."""
    exchange = KeyServiceStub(channel).ExchangeKey

    async def token(request: Request) -> Response:
        try:
            asked = _asked(request, _fields(request, await received(request.receive)))
            answer = await exchange(asked, timeout=timeout, metadata=_metadata(request))
        except ClientGone:
            return Response(status_code=499)
        except Refused as refused:
            return _said(refused)
        except Problem as problem:
            return _said(_refused(problem))
        except grpc.aio.AioRpcError as error:
            return _said(_refused(of_rpc(error)))
        return JSONResponse(_granted(answer, clock()), headers=_NOT_KEPT)

    return [Route(PATH, token, methods=["POST"])]


def _said(refused: Refused) -> Response:
    return JSONResponse(refused.document, refused.status, refused.headers)


def _fields(request: Request, raw: bytes) -> dict[str, str]:
    """Read the form; each field once, and none that is empty."""
    kind = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if kind != FORM:
        raise Refused("invalid_request", f"Send the body as {FORM}.")
    try:
        pairs = parse_qsl(raw.decode("ascii"), max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise Refused("invalid_request", "The body is not a form.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Refused("invalid_request", "A field is repeated.")
    return fields


def _asked(request: Request, fields: Mapping[str, str]) -> pb.ExchangeKeyRequest:
    if "grant_type" not in fields:
        raise Refused("invalid_request", "grant_type is missing.")
    if fields["grant_type"] != GRANT:
        raise Refused("unsupported_grant_type", f"The grant_type here is {GRANT}.")
    key_id, secret = _credentials(request, fields)
    scopes = fields.get("scope", "").split()
    return pb.ExchangeKeyRequest(key_id=_key_id(key_id), secret=secret, scopes=scopes)


def _credentials(request: Request, fields: Mapping[str, str]) -> tuple[str, str]:
    """Answer client_id and client_secret: from the header or the form, and not from both."""
    headers = request.headers.getlist("authorization")
    if not headers:
        if fields.keys() >= {"client_id", "client_secret"}:
            return fields["client_id"], fields["client_secret"]
        raise _wrong_client("The client does not say who it is.")
    if len(headers) > 1 or "client_secret" in fields:
        raise Refused("invalid_request", "The client says twice who it is.")
    scheme, _, given = headers[0].partition(" ")
    try:
        key_id, colon, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _wrong_client() from None
    if scheme.lower() != "basic" or not colon:
        raise _wrong_client()
    key_id, secret = unquote_plus(key_id), unquote_plus(secret)
    if fields.get("client_id", key_id) != key_id:
        raise Refused("invalid_request", "The client says twice who it is.")
    return key_id, secret


def _key_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise _wrong_client() from None


def _wrong_client(description: str = "The client is not known by this secret.") -> Refused:
    return Refused("invalid_client", description, 401, _ASK_BASIC)


def _metadata(request: Request) -> list[tuple[str, str]]:
    """Answer what travels with the RPC: not the credential, which is in the message."""
    pairs = visit_of(request.scope).metadata()
    return [(name, value) for name, value in pairs if name != "authorization"]


def _refused(problem: Problem) -> Refused:
    """Say a problem in the words of OAuth."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        return _wrong_client()
    if problem.status == HTTPStatus.FORBIDDEN:
        return Refused("invalid_scope", problem.detail)
    if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return Refused("invalid_request", "A field of the form cannot be right.")
    wait = (
        {"Retry-After": str(max(1, math.ceil(problem.retry_after)))} if problem.retry_after else {}
    )
    if problem.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return Refused("temporarily_unavailable", problem.detail, problem.status, wait)
    if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refused("invalid_request", problem.detail, problem.status)
    return Refused("server_error", problem.detail, problem.status)


def _granted(answer: pb.ExchangeKeyResponse, now: float) -> dict[str, Any]:
    return {
        "access_token": answer.access_token,
        "token_type": "Bearer",
        "expires_in": max(0, int(answer.expire_time.seconds - now)),
        "scope": " ".join(answer.scopes),
    }
