"""A line of the route table: which request makes which RPC."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """`rpc` is a full name such as `carelane.auth.v1.AuthService.Login`.

    The path's `{names}` are fields of its request. The other fields come from the query of a GET or
    DELETE, and from the body of every other method. `status` is that of success; `cache` how many
    seconds anybody may keep the answer, 0 for answers that nobody may keep. With a media type in
    `text`, the body is not JSON but the text of the answer's only field. An RPC that streams its
    answers gives server-sent events, and with a media type in `text` lines of JSON. `cookie` says
    what the route does to the session of a browser: "open", "show" or "end" it.
    """

    method: str
    path: str
    rpc: str
    status: int = 200
    cache: int = 0
    text: str = ""
    cookie: str = ""

    @property
    def takes_body(self) -> bool:
        return self.method not in {"GET", "DELETE"}
