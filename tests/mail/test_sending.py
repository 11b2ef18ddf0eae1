"""Letters reach a mail server, at least once and each as one message."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aiosmtplib
import pytest
from prometheus_client import CollectorRegistry

from server.core.clock import MovableClock
from server.core.db import Database
from server.core.outbox import Event
from server.mail import service
from server.mail.sending import CLAIM, KEPT, forget_old
from server.mail.transport import Outgoing, Smtp
from tests.mail.conftest import MailServer, add_mail, post
from tests.rows import add_person


async def row(owner: Any, mail_id: Any) -> Any:
    return await owner.fetchrow("SELECT * FROM mail WHERE mail_id = $1", mail_id)


async def test_a_letter_reaches_the_address_that_the_account_has_now(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    person = await add_person(owner, full_name="Āsha Rao")
    mail_id = await add_mail(owner, clock, user_id=person, address=None)
    await owner.execute(
        "UPDATE user_account SET email = 'new@x.example' WHERE user_id = $1", person
    )
    await post(smtp).deliver(worker)
    (message,) = mail_server[0].received
    assert message["To"] == "new@x.example"
    assert message["From"] == "Carelane <no-reply@carelane.test>"
    assert message["Message-ID"] == f"<{mail_id}@carelane.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "Namaste Āsha Rao" in message.get_content()
    ended = await row(owner, mail_id)
    assert (ended["outcome"], ended["attempts"]) == ("sent", 1)


@pytest.mark.parametrize("address", ["a..b@x.example", ".a@x.example", "o'neil+{x}@x.example"])
async def test_every_address_that_can_be_registered_gets_its_letters(
    owner: Any,
    worker: Database,
    clock: MovableClock,
    smtp: Smtp,
    mail_server: tuple[MailServer, str],
    address: str,
) -> None:
    await add_mail(owner, clock, address=address)
    await post(smtp).deliver(worker)
    (message,) = mail_server[0].received
    assert message["To"].replace('"', "") == address


async def test_what_was_sent_is_not_sent_again_and_forgets_its_address(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    mail_id = await add_mail(owner, clock)
    await post(smtp).deliver(worker)
    clock.advance(timedelta(days=1))
    await post(smtp).deliver(worker)
    assert len(mail_server[0].received) == 1
    assert (await row(owner, mail_id))["address"] is None
    clock.advance(KEPT)
    await forget_old(worker)
    assert await row(owner, mail_id) is None


async def test_an_event_that_is_delivered_twice_asks_for_one_letter(
    owner: Any, worker: Database, clock: MovableClock
) -> None:
    person = await add_person(owner)
    event = Event(uuid4(), "user.registered", person, None, {}, clock.now(), 0)
    for _ in range(2):
        async with worker.transaction() as tx:
            await service.post(tx, event, "greeting", person, user_id=person)
    assert await owner.fetchval("SELECT count(*) FROM mail") == 1


@pytest.mark.parametrize(
    "reply", ["451 try later", "450 greylisted"], ids=["local error", "greylisted"]
)
async def test_a_letter_that_is_put_off_is_sent_later_with_the_same_id(
    owner: Any,
    worker: Database,
    clock: MovableClock,
    smtp: Smtp,
    mail_server: tuple[MailServer, str],
    reply: str,
) -> None:
    mail_id = await add_mail(owner, clock)
    mail_server[0].replies = [reply]
    sender = post(smtp)
    await sender.deliver(worker)
    waiting = await row(owner, mail_id)
    assert (waiting["outcome"], waiting["last_error"]) == (None, "SMTPRecipientsRefused")
    await sender.deliver(worker)
    assert mail_server[0].received == []
    clock.advance(timedelta(seconds=6))
    await sender.deliver(worker)
    assert [each["Message-ID"] for each in mail_server[0].received] == [
        f"<{mail_id}@carelane.test>"
    ]


async def test_an_address_that_does_not_exist_is_given_up(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    mail_id = await add_mail(owner, clock)
    mail_server[0].replies = ["550 no such user"]
    await post(smtp).deliver(worker)
    assert (await row(owner, mail_id))["outcome"] == "refused"


async def test_a_mail_server_that_is_away_costs_nobody_a_letter(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    mail_id = await add_mail(owner, clock)
    away = post(Smtp("smtp://127.0.0.1:1", "no-reply@carelane.test", clear=True))
    for _ in range(3):
        await away.deliver(worker)
        clock.advance(timedelta(minutes=1))
    assert (await row(owner, mail_id))["attempts"] == 3
    await post(smtp).deliver(worker)
    assert (await row(owner, mail_id))["outcome"] == "sent"


async def test_a_mail_server_that_does_not_turn_to_tls_gets_no_letter(
    owner: Any, worker: Database, clock: MovableClock, mail_server: Any
) -> None:
    mail_id = await add_mail(owner, clock)
    await post(Smtp(mail_server[1], "no-reply@carelane.test")).deliver(worker)
    assert mail_server[0].received == []
    assert (await row(owner, mail_id))["outcome"] is None


async def test_a_mail_server_can_be_greeted_without_a_letter(smtp: Smtp, mail_server: Any) -> None:
    await smtp.greet()
    assert mail_server[0].received == []
    with pytest.raises(aiosmtplib.SMTPException):
        await Smtp(mail_server[1], "no-reply@carelane.test").greet()


async def test_what_is_of_no_use_any_more_is_not_sent(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    late = await add_mail(owner, clock, expire_time=clock.now())
    moot = await add_mail(owner, clock, kind="nothing")
    await post(smtp).deliver(worker)
    outcomes = [(await row(owner, each))["outcome"] for each in (late, moot)]
    assert outcomes == ["expired", "dropped"]
    assert mail_server[0].received == []


async def test_one_letter_that_cannot_be_written_holds_up_no_other(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    unknown = await add_mail(owner, clock, kind="of another release")
    await add_mail(owner, clock)
    await post(smtp).deliver(worker)
    assert len(mail_server[0].received) == 1
    assert (await row(owner, unknown))["last_error"] == "KeyError"


async def test_several_workers_send_each_letter_once(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    ids = [await add_mail(owner, clock) for _ in range(24)]
    workers = [post(smtp, batch=3) for _ in range(4)]

    async def work(sender: Any) -> None:
        while await sender.deliver(worker):
            pass

    await asyncio.gather(*map(work, workers))
    sent = [message["Message-ID"] for message in mail_server[0].received]
    assert sorted(sent) == sorted(f"<{each}@carelane.test>" for each in ids)


async def test_what_a_killed_worker_left_is_sent_by_another_once_its_claim_has_run_out(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp, mail_server: Any
) -> None:
    await add_mail(owner, clock)
    began = asyncio.Event()

    class Stuck:
        async def send(self, letter: Outgoing) -> None:
            began.set()
            await asyncio.Event().wait()

    dying = asyncio.create_task(post(Stuck()).deliver(worker))
    await began.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    await post(smtp).deliver(worker)
    assert mail_server[0].received == []
    clock.advance(CLAIM)
    await post(smtp).deliver(worker)
    assert len(mail_server[0].received) == 1


async def test_no_transaction_is_open_while_a_letter_is_sent(
    owner: Any, worker: Database, clock: MovableClock
) -> None:
    await add_mail(owner, clock)
    open_ones = []

    class Looking:
        async def send(self, letter: Outgoing) -> None:
            open_ones.append(
                await owner.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
                    " AND usename = 'carelane_worker' AND datname = current_database()"
                )
            )

    await post(Looking()).deliver(worker)
    assert open_ones == [0]


async def test_what_waits_is_counted(
    owner: Any, worker: Database, clock: MovableClock, smtp: Smtp
) -> None:
    await add_mail(owner, clock, create_time=clock.now() - timedelta(minutes=5))
    sender = post(smtp)
    await sender.count(worker)
    registry = CollectorRegistry()
    registry.register(sender._metrics.depth)
    registry.register(sender._metrics.age)
    assert registry.get_sample_value("carelane_mail_depth") == 1
    assert (registry.get_sample_value("carelane_mail_age_seconds") or 0) > 299
