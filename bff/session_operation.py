"""/api/session at work: the sign-in of the contract, its tokens kept out of the browser's reach."""

from typing import Any, cast

import orjson
from google.protobuf.message import Message

from bff.operation import Operation, Stubs, rpc_of
from bff.route import Route
from bff.sessions import BrowserSession, held_of
from bff.to_json import converter
from bff.visit import Visit


class SessionOperation(Operation):
    """Opens, shows or ends the session of a cookie; in place of tokens it answers `csrfToken`."""

    def __init__(self, route: Route, stub: Stubs, timeout: float) -> None:
        super().__init__(route, stub, timeout)
        self._document = converter(rpc_of(route).output_type)

    def _body(self, answer: Message, visit: Visit) -> bytes:
        session = cast(BrowserSession, visit.session)
        if self.route.cookie == "end":
            session.become(None)
            return self._write(answer)
        if self.route.cookie == "open" and answer.HasField("session"):
            session.become(held_of(cast(Any, answer).session))
        document = self._document(answer)
        document.pop("session", None)
        return orjson.dumps({"csrfToken": session.csrf_token, **document})
