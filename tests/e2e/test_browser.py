"""The platform in a real browser: what its cookie does, and what pages of others cannot do."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.e2e.chromium import Chromium, Page, chromium, program
from tests.e2e.conftest import PASSWORD
from tests.running import Up

pytestmark = pytest.mark.skipif(program() is None, reason="this machine has no Chromium")

LISTED = "/api/appointments"


class Elsewhere(BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of a web server of somebody else."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


class Client(Page):
    """The web app: calls REST from the page, with the CSRF token once it knows it.

    It has the platform's own host, and a policy of its own in place of that of REST.
    """

    def __init__(self, browser: Chromium, platform: Up) -> None:
        super().__init__(browser)
        self.csrf_token = ""
        self.ask("Page.setBypassCSP", enabled=True)
        self.ask("Network.clearBrowserCookies")
        self.open(f"{home(platform)}/healthz")

    def call(self, method: str, path: str, **body: Any) -> Any:
        """Answer status and JSON of a request."""
        headers = {"Content-Type": "application/json", "X-CSRF-Token": self.csrf_token}
        options: dict[str, Any] = {"method": method, "headers": headers}
        if body:
            options["body"] = orjson.dumps(body).decode()
        given = f"{orjson.dumps(path).decode()}, {orjson.dumps(options).decode()}"
        fetched = f"const answer = await fetch({given});"
        return self.run(f"{fetched} return [answer.status, await answer.json()];")

    def sign_in(self) -> Any:
        """Register somebody, sign in, and answer the session."""
        who = {"email": f"{uuid4().hex}@mail.example", "password": PASSWORD}
        person = who | {"fullName": "Asha Rao", "role": "ROLE_PATIENT"}
        assert self.call("POST", "/api/auth/register", **person)[0] == 202
        status, session = self.call("POST", "/api/session", **who)
        assert (status, session["user"]["email"]) == (200, who["email"])
        return session

    def free_time(self) -> dict[str, str]:
        doctors = self.call("GET", "/api/doctors?symptoms=chest%20pain&pageSize=5")[1]["doctors"]
        for doctor in doctors:
            slots = self.call("GET", f"/api/doctors/{doctor['doctorId']}/slots?days=14")[1]
            for day in slots["days"]:
                for slot in day["slots"]:
                    return {"practiceId": day["practiceId"], "startTime": slot["startTime"]}
        raise AssertionError("nobody is free")


def home(platform: Up) -> str:
    return f"http://localhost:{platform.rest}"


def test_the_reference_works_under_its_strict_policy(platform: Up, browser: Chromium) -> None:
    page = Page(browser)
    page.open(f"{home(platform)}/docs")
    shown = """
        for (let tries = 0; tries < 400 && !document.querySelector(".opblock"); tries++)
            await new Promise(done => setTimeout(done, 25));
        return document.querySelectorAll(".opblock").length;
    """
    assert page.run(shown) > 50
    page.open(f"{home(platform)}/inbox")
    assert page.run("return getComputedStyle(document.body).maxWidth;") == "960px"
    said = [entry["entry"]["text"] for entry in page.told("Log.entryAdded")]
    assert said == []


def test_a_page_signs_in_reloads_books_and_signs_out(platform: Up, browser: Chromium) -> None:
    page = Client(browser, platform)
    signed_in = page.sign_in()
    assert page.run("return document.cookie;") == ""
    page.reload()
    status, session = page.call("GET", "/api/session")
    assert (status, session) == (200, signed_in)
    booking = page.free_time() | {"requestId": str(uuid4())}
    assert page.call("POST", LISTED, **booking)[1]["reason"] == "CSRF_TOKEN_WRONG"
    page.csrf_token = session["csrfToken"]
    assert page.call("POST", LISTED, **booking)[0] == 201
    assert len(page.call("GET", LISTED)[1]["appointments"]) == 1
    assert page.call("DELETE", "/api/session")[0] == 200
    assert page.call("GET", "/api/session")[0] == 401
    assert page.ask("Network.getCookies")["cookies"] == []


@pytest.fixture
def victim(platform: Up, browser: Chromium) -> Client:
    """Somebody who is signed in and has booked a visit."""
    page = Client(browser, platform)
    page.csrf_token = page.sign_in()["csrfToken"]
    booking = page.free_time() | {"requestId": str(uuid4())}
    assert page.call("POST", LISTED, **booking)[0] == 201
    return page


@pytest.mark.parametrize(
    ("host", "refused"),
    # another site's requests go without the cookie; those of a neighbour have it
    [("127.0.0.1", 415), ("localhost", 403)],
    ids=["another site", "another port of the same site"],
)
def test_pages_of_others_change_nothing_and_learn_nothing(
    platform: Up, browser: Chromium, victim: Client, elsewhere: int, host: str, refused: int
) -> None:
    [visit] = victim.call("GET", LISTED)[1]["appointments"]
    path = f"{LISTED}/{visit['appointmentId']}/cancel"
    evil = Page(browser)
    evil.open(f"http://{host}:{elsewhere}/")
    options = '{ method: "POST", mode: "no-cors", credentials: "include", body: "{}" }'
    evil.run(f"await fetch('{home(platform)}{path}', {options}).catch(() => 0);")
    assert evil.statuses(path, 1) == [refused]
    for reading in ("/api/session", LISTED):
        options = '{ credentials: "include" }'
        tried = f"fetch('{home(platform)}{reading}', {options})"
        assert evil.run(f"return await {tried}.then(() => 'read', () => 'refused');") == "refused"
    form = f"""
        const form = document.body.appendChild(document.createElement("form"));
        form.action = "{home(platform)}{path}"; form.method = "POST"; form.enctype = "text/plain";
        form.appendChild(document.createElement("textarea")).name = "{{}}";
        form.submit();
    """
    evil.run(form)
    assert evil.statuses(path, 2) == [refused] * 2
    [still] = victim.call("GET", LISTED)[1]["appointments"]
    assert still["status"] == "APPOINTMENT_STATUS_BOOKED"
    assert victim.call("POST", path, requestId=str(uuid4()))[0] == 200
