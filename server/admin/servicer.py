"""AdminService: messages in, messages out."""

from typing import Any

import grpc

from carelane.admin.v1 import admin_service_pb2 as pb
from carelane.admin.v1 import admin_service_pb2_grpc
from server.admin import messages, service
from server.core import rpc
from server.core.db import Database
from server.core.errors import InvalidField
from server.core.paging import Pager
from server.core.wire import to_id, to_optional_date, to_optional_id
from server.directory import verification
from server.directory.verification import Decision

Context = grpc.aio.ServicerContext[Any, Any]

_DECISIONS: dict[int, Decision] = {
    pb.VERIFICATION_DECISION_APPROVE: "verified",
    pb.VERIFICATION_DECISION_REJECT: "rejected",
}


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """Serves the people who run the platform."""

    def __init__(self, db: Database, pager: Pager) -> None:
        self._db = db
        self._pager = pager

    async def ListPendingVerifications(
        self, request: pb.ListPendingVerificationsRequest, context: Context
    ) -> pb.ListPendingVerificationsResponse:
        caller = rpc.caller()
        page = self._pager.page(caller, request)
        async with self._db.transaction(caller) as tx:
            rows = await verification.list_pending(tx, after=page.after, limit=page.limit)
        shown, token = page.cut(rows, "create_time", "verification_id")
        return pb.ListPendingVerificationsResponse(
            verifications=map(messages.verification, shown), next_page_token=token
        )

    async def VerifyDoctor(
        self, request: pb.VerifyDoctorRequest, context: Context
    ) -> pb.VerifyDoctorResponse:
        doctor_id = to_id(request.doctor_id, "doctor_id")
        decision, reason = _DECISIONS[request.decision], request.reason.strip()
        if decision == "rejected" and not reason:
            raise InvalidField("reason", "must say why the doctor is rejected")
        caller = rpc.caller()
        async with self._db.transaction(caller, once=request) as tx:
            row = await verification.decide(
                tx,
                doctor_id=doctor_id,
                decision=decision,
                reason=reason,
                verification_id=to_optional_id(request.verification_id, "verification_id"),
            )
            return tx.answer(pb.VerifyDoctorResponse(verification=messages.verification(row)))

    async def GetAnalytics(
        self, request: pb.GetAnalyticsRequest, context: Context
    ) -> pb.GetAnalyticsResponse:
        first = to_optional_date(request, "from_date")
        last = to_optional_date(request, "until_date")
        asked = service.period(first, last, today=self._db.clock.now().date())
        async with self._db.transaction(rpc.caller()) as tx:
            figures = await service.figures(tx, asked)
        return pb.GetAnalyticsResponse(analytics=messages.analytics(figures))
