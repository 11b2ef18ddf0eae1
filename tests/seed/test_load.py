"""What seeding leaves in the database."""

from datetime import UTC, datetime

import asyncpg
import pytest

from launch.errors import Refusal
from launch.postgres import EmbeddedPostgres
from launch.seed import load
from launch.seed.load import seed
from launch.seed.people import DEMO_PASSWORD
from launch.seed.request import Request
from launch.seed.world import Size
from launch.signals import Interrupted
from server.auth.passwords import Passwords

NOW = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
SMALL = Request(Size.of(60), now=NOW)
COUNTS = (
    "SELECT (SELECT count(*) FROM doctor_profile) AS doctors, (SELECT count(*) FROM clinic "
    "WHERE kind = 'clinic') AS clinics, (SELECT count(*) FROM appointment) AS appointments, "
    "(SELECT count(*) FROM payment_transaction) AS payments, "
    "(SELECT count(*) FROM user_account WHERE role = 'patient') AS patients"
)


async def fingerprint(connection: asyncpg.Connection) -> str:
    """Digest everything but what the database itself draws by lot."""
    tables = ("doctor_profile", "weekly_rule", "appointment", "claim", "feed_entry", "practice")
    digests = [
        await connection.fetchval(
            f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {name} t"
        )
        for name in tables
    ]
    return " ".join(digests)


async def test_a_world_of_the_asked_size_is_loaded_once(
    empty: str, owner: asyncpg.Connection
) -> None:
    first = await seed(empty, SMALL)
    counts = dict(await owner.fetchrow(COUNTS))
    assert first.loaded
    assert counts == {
        "doctors": 60,
        "clinics": 9,
        "appointments": 600,
        "payments": 600,
        "patients": 150,
    }
    before = await fingerprint(owner)
    second = await seed(empty, Request(Size.of(70)))
    assert not second.loaded
    assert "nothing was changed" in second.sentence
    assert await fingerprint(owner) == before


async def test_feeds_are_contiguous_and_money_follows_the_visits(
    empty: str, owner: asyncpg.Connection
) -> None:
    await seed(empty, SMALL)
    gaps = await owner.fetchval(
        "SELECT count(*) FROM (SELECT clinic_id, last_revision, array(SELECT revision FROM "
        "feed_entry e WHERE e.clinic_id = f.clinic_id ORDER BY 1) AS had FROM clinic_feed f) t "
        "WHERE had IS DISTINCT FROM array(SELECT generate_series(1, last_revision))"
    )
    assert gaps == 0
    things = await owner.fetchval(
        "SELECT count(DISTINCT (clinic_id, kind, thing_id)) FROM feed_entry"
    )
    assert things == await owner.fetchval(
        "SELECT (SELECT count(*) FROM appointment) + (SELECT count(*) FROM hours)"
    )
    pairs = await owner.fetch(
        "SELECT DISTINCT a.status, t.status AS paid FROM appointment a "
        "JOIN payment_transaction t USING (appointment_id) ORDER BY 1"
    )
    assert [tuple(pair) for pair in pairs] == [
        ("booked", "pending"),
        ("cancelled", "voided"),
        ("completed", "settled"),
        ("no_show", "voided"),
    ]


async def test_a_visit_holds_its_time_unless_it_was_called_off(
    empty: str, owner: asyncpg.Connection
) -> None:
    await seed(empty, SMALL)
    wrong = await owner.fetchval(
        "SELECT count(*) FROM appointment a LEFT JOIN claim c ON c.claim_id = a.appointment_id "
        "AND (c.start_time, c.end_time) = (a.start_time, a.end_time) "
        "WHERE (c.claim_id IS NULL) <> (a.status = 'cancelled')"
    )
    assert wrong == 0


async def test_the_demo_accounts_have_a_rich_world(empty: str, owner: asyncpg.Connection) -> None:
    await seed(empty, SMALL)
    people = await owner.fetch(
        "SELECT email, role, user_id FROM user_account JOIN credential USING (user_id) ORDER BY 1"
    )
    assert [(one["email"].split("@")[0], one["role"]) for one in people] == [
        ("admin", "admin"),
        ("clinic", "staff"),
        ("doctor", "doctor"),
        ("patient", "patient"),
    ]
    unverified = "SELECT count(*) FROM user_account WHERE email_verify_time IS NULL"
    assert await owner.fetchval(unverified) == 0
    told = "SELECT count(*) FROM notification WHERE user_id = $1"
    assert await owner.fetchval(told, people[2]["user_id"]) > 5
    assert await owner.fetchval(told, people[3]["user_id"]) > 5
    shared = await owner.fetchval(
        "SELECT count(*) FROM clinic_member a JOIN clinic_member b USING (clinic_id) "
        "WHERE a.user_id = $1 AND a.role = 'owner' AND b.user_id = $2 AND b.role = 'doctor'",
        people[1]["user_id"],
        people[2]["user_id"],
    )
    assert shared == 1
    children = (
        "SELECT count(DISTINCT p.patient_id), count(a) FROM patient p"
        " JOIN appointment a USING (patient_id)"
        " WHERE p.account_id = $1 AND p.patient_id <> $1 AND p.full_name LIKE '% Nair'"
    )
    child, visits = await owner.fetchrow(children, people[3]["user_id"])
    assert (child, visits > 0) == (1, True)
    offered = (
        "SELECT bool_or(t.capacity > 1) AND bool_and(c.notice_minutes > 0) FROM practice p"
        " JOIN visit_type t USING (practice_id) LEFT JOIN cancel_policy c USING (practice_id)"
        " WHERE p.doctor_id = $1"
    )
    assert await owner.fetchval(offered, people[2]["user_id"])


async def test_the_demo_password_is_what_the_server_compares_with(
    empty: str, owner: asyncpg.Connection
) -> None:
    await seed(empty, SMALL)
    hashes = await owner.fetch("SELECT password_hash FROM credential")
    passwords = Passwords()
    assert await passwords.matches(DEMO_PASSWORD, hashes[0]["password_hash"])
    assert not passwords.is_outdated(hashes[0]["password_hash"])
    passwords.close()


async def test_every_clinic_has_an_owner(empty: str, owner: asyncpg.Connection) -> None:
    await seed(empty, SMALL)
    without = await owner.fetchval(
        "SELECT count(*) FROM clinic c WHERE NOT EXISTS (SELECT FROM clinic_member m "
        "WHERE m.clinic_id = c.clinic_id AND m.role = 'owner') "
        "AND EXISTS (SELECT FROM practice p WHERE p.clinic_id = c.clinic_id)"
    )
    assert without == 0


async def test_policies_bind_the_owner_again_after_seeding(
    empty: str, owner: asyncpg.Connection
) -> None:
    count = (
        "SELECT count(*) FROM pg_class WHERE relforcerowsecurity "
        "AND relnamespace = 'public'::regnamespace"
    )
    before = await owner.fetchval(count)
    await seed(empty, SMALL)
    assert await owner.fetchval(count) == before > 10


async def test_an_interrupted_chunk_leaves_nothing_and_the_rest_is_finished_later(
    empty: str, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.seed.world.CHUNK", 20)
    await seed(empty, SMALL)
    whole = await fingerprint(owner)
    await owner.execute(
        "TRUNCATE user_account, clinic_feed, clinic CASCADE; DELETE FROM seed.world"
    )

    def interrupt(done: float, total: int) -> None:
        if done > 30:
            raise Interrupted

    with pytest.raises(Interrupted):
        await seed(empty, SMALL, interrupt)
    assert await owner.fetchval("SELECT count(*) FROM doctor_profile") == 20
    with pytest.raises(Refusal, match="part of a demo world of 60 doctors"):
        await seed(empty, Request(Size.of(70)))
    assert (await seed(empty, Request())).loaded
    assert await fingerprint(owner) == whole


async def test_reference_data_comes_alone_and_is_mended_when_it_differs(
    empty: str, owner: asyncpg.Connection
) -> None:
    await seed(empty, Request(reference_only=True))
    assert await owner.fetchval("SELECT count(*) FROM doctor_profile") == 0
    assert await owner.fetchval("SELECT count(*) FROM specialty") > 60
    await owner.execute("UPDATE specialty SET name = 'Heart' WHERE slug = 'cardiology'")
    await seed(empty, Request(reference_only=True))
    name = "SELECT name FROM specialty WHERE slug = 'cardiology'"
    assert await owner.fetchval(name) == "Cardiology"


async def test_a_world_that_clashes_with_what_is_there_is_refused_and_leaves_nothing(
    empty: str, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "INSERT INTO user_account (user_id, email, full_name, role) "
        "VALUES (gen_random_uuid(), 'Doctor@demo.carelane.example', 'Somebody', 'doctor')"
    )
    with pytest.raises(Refusal, match="does not fit"):
        await seed(empty, SMALL)
    assert await owner.fetchval("SELECT count(*) FROM user_account") == 1


async def test_reference_data_of_another_release_is_brought_up_to_date(
    empty: str, owner: asyncpg.Connection
) -> None:
    await seed(empty, SMALL)
    await owner.execute(
        "UPDATE seed.world SET reference = 'older'; UPDATE city SET time_zone = 'Etc/UTC'"
    )
    assert not (await seed(empty, SMALL)).loaded
    assert await owner.fetchval("SELECT count(*) FROM city WHERE time_zone = 'Etc/UTC'") == 0


async def test_an_impossible_size_is_refused_in_a_sentence(empty: str) -> None:
    with pytest.raises(Refusal, match="too many"):
        await load.seed(empty, Request(Size(10, 1, 1, 1_000)))


async def test_a_database_without_tables_is_refused_in_a_sentence(
    postgres: EmbeddedPostgres, superuser: asyncpg.Connection
) -> None:
    with pytest.raises(Refusal, match="carelane migrate"):
        await seed(postgres.dsn("carelane_owner", "postgres"), SMALL)


async def test_exclusion_constraints_are_back_after_seeding(
    empty: str, owner: asyncpg.Connection
) -> None:
    constraints = (
        "SELECT string_agg(conname || pg_get_constraintdef(oid), ' ' ORDER BY conname) "
        "FROM pg_constraint WHERE contype = 'x'"
    )
    before = await owner.fetchval(constraints)
    await seed(empty, SMALL)
    assert "claim_overlap" in before
    assert await owner.fetchval(constraints) == before
