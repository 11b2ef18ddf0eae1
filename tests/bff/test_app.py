"""What surrounds the routes: origins, headers, health, numbers, documentation, settings."""

import importlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from grpc_health.v1 import health_pb2
from openapi_spec_validator import validate
from pydantic import ValidationError

import carelane
from bff import serve
from bff.app import create_app
from bff.openapi.document import document
from bff.operation import Operation, rpc_of, stubs
from bff.route import Route
from bff.routes import ROUTES
from bff.settings import Settings
from carelane.common.v1 import access_pb2

ORIGIN = "https://app.example.com"


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }


async def test_the_web_app_may_ask_from_its_origin(web: httpx.AsyncClient) -> None:
    answer = await web.options("/api/appointments", headers=preflight(ORIGIN))
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    answer = await web.get("/api/doctors", headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.com.evil.com", "http://app.example.com", "https://evil.com", "null"],
)
async def test_other_origins_may_not(web: httpx.AsyncClient, origin: str) -> None:
    answer = await web.options("/api/appointments", headers=preflight(origin))
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    answer = await web.get("/api/doctors", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_problem_can_be_read_across_origins(web: httpx.AsyncClient) -> None:
    answer = await web.post("/api/appointments", json={}, headers={"Origin": ORIGIN})
    assert answer.status_code == 422
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_every_answer_has_the_safe_headers(web: httpx.AsyncClient) -> None:
    for path in ("/api/doctors", "/api/appointments?x=1", "/nothing", "/healthz", "/docs"):
        headers = (await web.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        for rule in ("default-src 'none'", "base-uri 'none'", "form-action 'none'"):
            assert rule in headers["content-security-policy"]
        assert headers["x-request-id"]
        assert "strict-transport-security" not in headers


async def test_healthz_answers_whatever_the_server_does(
    web: httpx.AsyncClient, health: Any
) -> None:
    health.status = health_pb2.HealthCheckResponse.NOT_SERVING
    assert (await web.get("/healthz")).status_code == 200


async def test_readyz_follows_the_server(web: httpx.AsyncClient, health: Any) -> None:
    assert (await web.get("/readyz")).status_code == 200
    health.status = health_pb2.HealthCheckResponse.NOT_SERVING
    assert (await web.get("/readyz")).status_code == 503


async def test_without_a_server_it_is_503_and_names_no_address(settings: Settings) -> None:
    channel = serve.connect(settings.model_copy(update={"grpc_target": "127.0.0.1:1"}))
    app = create_app(channel, settings)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://bff"
    ) as client:
        assert (await client.get("/readyz")).status_code == 503
        answer = await client.get("/api/doctors")
    await channel.close()
    assert (answer.status_code, answer.json()["reason"]) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    assert "127.0.0.1" not in answer.text


async def test_metrics_exist_only_for_those_who_watch(web: httpx.AsyncClient) -> None:
    assert (await web.get("/metrics")).status_code == 404


async def test_metrics_count_requests_by_route(app: FastAPI, web: httpx.AsyncClient) -> None:
    await web.get("/api/appointments/0196f5c8-cccc-7000-8000-000000000003")
    await web.request("BREW", "/zzmarkzz")
    local = httpx.ASGITransport(app, client=("127.0.0.1", 40000))
    async with httpx.AsyncClient(transport=local, base_url="http://bff") as monitor:
        text = (await monitor.get("/metrics")).text
    route = 'method="GET",route="/api/appointments/{appointment_id}"'
    assert f'carelane_http_requests_total{{{route},status="501"}} 1.0' in text
    assert 'method="other",route="unknown",status="404"' in text
    assert "zzmarkzz" not in text


async def test_docs_work_without_the_internet(web: httpx.AsyncClient) -> None:
    page = (await web.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f'"/docs/{asset}"' in page
        answer = await web.get(f"/docs/{asset}")
        assert answer.status_code == 200
        assert answer.content


async def test_the_openapi_document_is_valid(web: httpx.AsyncClient) -> None:
    answer = await web.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    validate(answer.json())


def operations() -> dict[str, dict[str, Any]]:
    paths = document(ROUTES)["paths"]
    return {op["operationId"]: op for path in paths.values() for op in path.values()}


def contract() -> set[str]:
    """All RPCs of the generated services, by full name."""
    folders = [path for root in carelane.__path__ for path in Path(root).glob("*/v1")]
    names = [
        f"carelane.{folder.parent.name}.v1.{path.stem}"
        for folder in folders
        for path in folder.glob("*_service_pb2.py")
    ]
    modules = [importlib.import_module(name) for name in names]
    services = [s for module in modules for s in module.DESCRIPTOR.services_by_name.values()]
    return {method.full_name for service in services for method in service.methods}


def test_every_rpc_has_a_route_and_every_route_an_rpc() -> None:
    routed = {route.rpc for route in ROUTES}
    assert len(contract()) > 30
    assert routed == contract()


def test_only_what_is_public_may_be_kept_by_others() -> None:
    kept = [route for route in ROUTES if route.cache]
    assert kept
    for route in kept:
        access = rpc_of(route).GetOptions().Extensions[access_pb2.access]
        assert list(access.audiences) == [access_pb2.AUDIENCE_ANYONE], route.path
        assert not route.cookie


def test_every_operation_is_described_and_says_how_it_fails() -> None:
    for name, operation in operations().items():
        assert operation["summary"], name
        assert operation["description"], name
        assert {"400", "401", "422", "429", "431", "500", "503", "504"} <= {*operation["responses"]}
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])


def test_every_schema_and_property_is_described() -> None:
    for name, schema in document(ROUTES)["components"]["schemas"].items():
        assert schema["description"], name
        for field, inner in schema.get("properties", {}).items():
            assert inner["description"], (name, field)


def test_every_reason_of_a_refusal_is_explained() -> None:
    for name, operation in operations().items():
        for status, response in operation["responses"].items():
            reasons = re.findall(r"^- `(\w+)`: *(.*)$", response["description"], re.M)
            assert all(text for _, text in reasons), (name, status)
            assert reasons or int(status) < 400, (name, status)


def test_lists_and_links_of_comments_can_be_read() -> None:
    schemas = document(ROUTES)["components"]["schemas"]
    changes = schemas["AppointmentStatus"]["description"].splitlines()
    assert "- NO_SHOW → BOOKED" in changes
    days = schemas["Date"]["description"].splitlines()
    assert "- A year on its own, with a zero month and a zero day." in days
    assert "- `google.type.TimeOfDay`" in days


def test_refusals_name_the_reasons_of_the_contract() -> None:
    booking = operations()["bookAppointment"]
    assert "`SLOT_TAKEN`: The time is taken." in booking["responses"]["409"]["description"]
    assert "`REQUEST_ID_REUSED`" in booking["responses"]["422"]["description"]
    assert booking["security"] == [{"bearer": []}, {"cookie": [], "csrf": []}]
    assert operations()["listAppointments"]["security"] == [{"bearer": []}, {"cookie": []}]
    assert operations()["searchDoctors"]["security"] == []


def test_rules_of_the_contract_are_keywords_of_the_schema() -> None:
    schemas = document(ROUTES)["components"]["schemas"]
    booking = schemas["BookAppointmentRequest"]
    assert booking["required"] == ["requestId", "practiceId", "startTime"]
    assert booking["additionalProperties"] is False
    assert booking["properties"]["reason"]["maxLength"] == 500
    assert booking["properties"]["requestId"]["format"] == "uuid"
    role = schemas["RegisterRequest"]["properties"]["role"]
    assert role["enum"] == ["ROLE_PATIENT", "ROLE_DOCTOR"]
    profile = schemas["UpsertDoctorProfileRequest"]["properties"]
    assert profile["specialties"]["maxItems"] == 5
    assert profile["specialties"]["uniqueItems"] is True
    assert profile["licenceYear"]["minimum"] == 1940


def test_a_field_of_the_path_is_not_in_the_body() -> None:
    schemas = document(ROUTES)["components"]["schemas"]
    assert [*schemas["CancelAppointmentRequest"]["properties"]] == ["requestId", "reason"]


def test_a_route_that_names_no_rpc_is_an_error_at_start(channel: Any) -> None:
    with pytest.raises(KeyError):
        Operation(Route("GET", "/x", "carelane.auth.v1.AuthService.Nothing"), stubs(channel), 1)
    with pytest.raises(KeyError):
        Operation(
            Route("GET", "/{nothing}", "carelane.auth.v1.AuthService.GetJwks"), stubs(channel), 1
        )


def strict(**values: Any) -> Settings:
    """Settings of a BFF in production, sound but for these."""
    sound = {"cors_origins": ORIGIN, "cookie_keys": "0123456789abcdef" * 2}
    return Settings(_env_file=None, **({"environment": "production"} | sound | values))


@pytest.mark.parametrize("origins", ["*", "http://app.example.com", "https://a.example, *"])
def test_production_refuses_origins_that_are_not_exact_https(origins: str) -> None:
    with pytest.raises(ValidationError, match="origin"):
        strict(cors_origins=origins)


def test_a_wildcard_is_no_origin_anywhere() -> None:
    with pytest.raises(ValidationError, match="an origin is written like"):
        Settings(_env_file=None, cors_origins="*")


@pytest.mark.parametrize(
    ("weak", "said"),
    [
        ({"cookie_keys": ""}, "COOKIE_KEYS is not set"),
        ({"cookie_keys": "a" * 40}, "one of COOKIE_KEYS is repetitive"),
        ({"insecure_cookies": True}, "INSECURE_COOKIES is on"),
        ({"log_level": "DEBUG"}, "LOG_LEVEL is DEBUG"),
        ({"trusted_proxies": "10.0.0.0/8, 0.0.0.0/0"}, "TRUSTED_PROXIES .* everybody"),
        ({"metrics_networks": "::/0"}, "METRICS_NETWORKS must not be everybody"),
    ],
)
def test_production_refuses_what_development_may_do(weak: dict[str, Any], said: str) -> None:
    assert strict().in_production
    with pytest.raises(ValidationError, match=said):
        strict(**weak)
    assert strict(**weak, environment="development")


def test_a_short_cookie_key_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="COOKIE_KEYS must have 32 characters") as caught:
        Settings(_env_file=None, cookie_keys=f"{'0123456789abcdef' * 2}, hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "origins", ["https://app.example.com/", "app.example.com", "https://a/b", "ftp://a"]
)
def test_an_origin_is_scheme_and_host_alone(origins: str) -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None, cors_origins=origins)


def test_lists_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8")
    settings = Settings(_env_file=None)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert len(settings.proxies) == 1


def test_a_proxy_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(_env_file=None, trusted_proxies="everywhere")


def test_production_joins_the_server_in_clear_text_only_here_or_when_told() -> None:
    far = {"cors_origins": ORIGIN, "grpc_target": "server.internal:50051"}
    with pytest.raises(ValidationError, match="GRPC_CA_FILE"):
        strict(**far)
    for values in ({"grpc_target": "127.0.0.1:50051"}, {"grpc_plaintext": True}):
        assert strict(**{**far, **values}).in_production
