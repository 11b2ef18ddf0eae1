"""WaitlistService: messages in, messages out."""

from typing import Any

import grpc

from carelane.waitlist.v1 import waitlist_service_pb2 as pb
from carelane.waitlist.v1 import waitlist_service_pb2_grpc
from server.appointment.messages import from_row as from_appointment
from server.core import rpc, wire
from server.core.access import Admission, admit_everybody
from server.core.db import Database
from server.core.paging import Pager
from server.waitlist import entries, offers
from server.waitlist.messages import from_row, to_wish

Context = grpc.aio.ServicerContext[Any, Any]


class WaitlistServicer(waitlist_service_pb2_grpc.WaitlistServiceServicer):
    """Serves joining and leaving, the lists of both sides, and the answers to offers."""

    def __init__(self, db: Database, pager: Pager, *, admit: Admission = admit_everybody) -> None:
        self._db = db
        self._pager = pager
        self._admit = admit

    async def JoinWaitlist(
        self, request: pb.JoinWaitlistRequest, context: Context
    ) -> pb.JoinWaitlistResponse:
        caller = rpc.caller()
        await self._admit(caller)
        practice_id = wire.to_optional_id(request.practice_id, "practice_id")
        type_id = wire.to_optional_id(request.visit_type_id, "visit_type_id")
        lock = entries.lock_person(caller)
        async with self._db.transaction(caller, once=request, lock=lock) as tx:
            wish = to_wish(request, tx.user_id)
            if practice_id:
                row = await entries.join_practice(tx, wish, practice_id, type_id)
            else:
                row = await entries.join_specialty(tx, wish, request.specialty, request.city)
            return tx.answer(pb.JoinWaitlistResponse(entry=from_row(row)))

    async def LeaveWaitlist(
        self, request: pb.LeaveWaitlistRequest, context: Context
    ) -> pb.LeaveWaitlistResponse:
        entry_id = wire.to_id(request.entry_id, "entry_id")
        lock = entries.lock(entry_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            row = await offers.leave(tx, entry_id)
            return tx.answer(pb.LeaveWaitlistResponse(entry=from_row(row)))

    async def ListMyWaitlist(
        self, request: pb.ListMyWaitlistRequest, context: Context
    ) -> pb.ListMyWaitlistResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await entries.of_account(
                tx,
                ended=request.include_ended,
                after=page.after,
                size=page.limit,
            )
        shown, token = page.cut(rows, "create_time", "entry_id")
        return pb.ListMyWaitlistResponse(entries=map(from_row, shown), next_page_token=token)

    async def ListWaitlist(
        self, request: pb.ListWaitlistRequest, context: Context
    ) -> pb.ListWaitlistResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await entries.of_clinic(
                tx,
                practice_id=wire.to_optional_id(request.practice_id, "practice_id"),
                after=page.after,
                size=page.limit,
            )
            shown, token = page.cut(rows, "create_time", "entry_id")
            entries.record_read(tx, shown)
        return pb.ListWaitlistResponse(entries=map(from_row, shown), next_page_token=token)

    async def AcceptOffer(
        self, request: pb.AcceptOfferRequest, context: Context
    ) -> pb.AcceptOfferResponse:
        offer_id = wire.to_id(request.offer_id, "offer_id")
        lock = offers.lock(offer_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            row = await offers.accept(tx, offer_id, reason=request.reason)
            return tx.answer(pb.AcceptOfferResponse(appointment=from_appointment(row)))

    async def DeclineOffer(
        self, request: pb.DeclineOfferRequest, context: Context
    ) -> pb.DeclineOfferResponse:
        offer_id = wire.to_id(request.offer_id, "offer_id")
        lock = offers.lock(offer_id)
        async with self._db.transaction(rpc.caller(), once=request, lock=lock) as tx:
            row = await offers.decline(tx, offer_id)
            return tx.answer(pb.DeclineOfferResponse(entry=from_row(row)))
