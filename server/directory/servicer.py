"""DirectoryService: messages in, messages out."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

import grpc

from carelane.directory.v1 import directory_service_pb2 as pb
from carelane.directory.v1 import directory_service_pb2_grpc, doctor_profile_pb2
from server.auth.attempts import Attempts
from server.auth.limits import network
from server.core import rpc
from server.core.db import Database, Reader, Transaction
from server.core.paging import Pager
from server.core.wire import to_id
from server.directory import (
    clinics,
    doctors,
    members,
    messages,
    profile,
    reference,
    requests,
    search,
    verification,
)
from server.directory.symptoms import Symptoms

Context = grpc.aio.ServicerContext[Any, Any]
NextFree = Callable[[Reader, UUID, datetime], Awaitable[Mapping[UUID, datetime]]]
OpenCalendar = Callable[[Transaction, UUID], Awaitable[None]]


class DirectoryServicer(directory_service_pb2_grpc.DirectoryServiceServicer):
    """Serves who treats, where, and for how much.

    `next_free` finds the first free times of a doctor's practices, `open_calendar` gives a doctor
    a calendar: both come from the domain of time, which knows this one.
    """

    def __init__(
        self,
        db: Database,
        pager: Pager,
        attempts: Attempts,
        *,
        next_free: NextFree,
        open_calendar: OpenCalendar,
    ) -> None:
        self._db = db
        self._pager = pager
        self._attempts = attempts
        self._next_free = next_free
        self._open_calendar = open_calendar
        self._symptoms = Symptoms(db)

    async def SearchDoctors(
        self, request: pb.SearchDoctorsRequest, context: Context
    ) -> pb.SearchDoctorsResponse:
        page = self._pager.page(rpc.caller(), request)
        now = self._db.clock.now()
        wanted = requests.search(request, await self._treating(request.symptoms), now.year)
        found = await search.find(
            self._db,
            wanted,
            order=messages.ORDERS[request.order],
            after=page.after,
            limit=page.limit,
        )
        places, token = page.cut(found, 0, 1)
        rows = await doctors.in_order(self._db, [place.doctor_id for place in places])
        return pb.SearchDoctorsResponse(
            doctors=[messages.doctor(row, now) for row in rows], next_page_token=token
        )

    async def GetDoctor(
        self, request: pb.GetDoctorRequest, context: Context
    ) -> pb.GetDoctorResponse:
        doctor_id, now = to_id(request.doctor_id, "doctor_id"), self._db.clock.now()
        message = messages.doctor(await doctors.verified(self._db, doctor_id), now)
        messages.set_next_free(message, await self._next_free(self._db, doctor_id, now))
        return pb.GetDoctorResponse(doctor=message)

    async def GetDoctorProfile(
        self, request: pb.GetDoctorProfileRequest, context: Context
    ) -> pb.GetDoctorProfileResponse:
        async with self._db.transaction(rpc.caller()) as tx:
            return pb.GetDoctorProfileResponse(profile=await _own_profile(tx))

    async def UpsertDoctorProfile(
        self, request: pb.UpsertDoctorProfileRequest, context: Context
    ) -> pb.UpsertDoctorProfileResponse:
        wanted, opening = requests.profile(request), requests.opening(request)
        async with self._db.transaction(rpc.caller(), once=request) as tx:
            await profile.upsert(tx, tx.user_id, wanted, expected=request.etag)
            if opening:
                await clinics.open_clinic(tx, tx.user_id, opening)
                await self._open_calendar(tx, tx.user_id)
            return tx.answer(pb.UpsertDoctorProfileResponse(profile=await _own_profile(tx)))

    async def ListSpecialties(
        self, request: pb.ListSpecialtiesRequest, context: Context
    ) -> pb.ListSpecialtiesResponse:
        if request.symptoms.strip():
            return await self._specialties_for(request)
        page = self._pager.page(rpc.caller(), request)
        rows = await reference.specialties_by_name(self._db, after=page.after, limit=page.limit)
        shown, token = page.cut(rows, "name", "specialty_id")
        return pb.ListSpecialtiesResponse(
            specialties=map(messages.specialty, shown), next_page_token=token
        )

    async def _specialties_for(
        self, request: pb.ListSpecialtiesRequest
    ) -> pb.ListSpecialtiesResponse:
        page = self._pager.page(rpc.caller(), request)
        scores = await self._symptoms.specialties(request.symptoms)
        rows = await reference.specialties_by_score(
            self._db, scores, after=page.after, limit=page.limit
        )
        scored = [{**row, "score": scores[row["specialty_id"]]} for row in rows]
        shown, token = page.cut(scored, "score", "specialty_id")
        return pb.ListSpecialtiesResponse(
            specialties=map(messages.specialty, shown), next_page_token=token
        )

    async def ListCities(
        self, request: pb.ListCitiesRequest, context: Context
    ) -> pb.ListCitiesResponse:
        page = self._pager.page(rpc.caller(), request)
        rows = await reference.cities(
            self._db,
            country=request.country_code,
            prefix=request.prefix,
            after=page.after,
            limit=page.limit,
        )
        shown, token = page.cut(rows, "name", "city_id")
        return pb.ListCitiesResponse(cities=map(messages.city, shown), next_page_token=token)

    async def ListHospitals(
        self, request: pb.ListHospitalsRequest, context: Context
    ) -> pb.ListHospitalsResponse:
        page = self._pager.page(rpc.caller(), request)
        rows = await reference.hospitals(
            self._db, city=request.city, after=page.after, limit=page.limit
        )
        shown, token = page.cut(rows, "name", "clinic_id")
        return pb.ListHospitalsResponse(
            hospitals=map(messages.clinic, shown), next_page_token=token
        )

    async def ListMyClinics(
        self, request: pb.ListMyClinicsRequest, context: Context
    ) -> pb.ListMyClinicsResponse:
        page = self._pager.page(rpc.caller(), request)
        async with self._db.transaction(rpc.caller()) as tx:
            rows = await clinics.mine(tx, after=page.after, limit=page.limit)
        shown, token = page.cut(rows, "name", "clinic_id")
        return pb.ListMyClinicsResponse(
            clinics=map(messages.my_clinic, shown), next_page_token=token
        )

    async def ListClinicMembers(
        self, request: pb.ListClinicMembersRequest, context: Context
    ) -> pb.ListClinicMembersResponse:
        page = self._pager.page(rpc.caller(), request)
        clinic_id = to_id(request.clinic_id, "clinic_id")
        async with self._db.transaction(rpc.caller()) as tx:
            rows = await members.list_members(tx, clinic_id, after=page.after, limit=page.limit)
        shown, token = page.cut(rows, "create_time", "user_id")
        return pb.ListClinicMembersResponse(
            members=map(messages.member, shown), next_page_token=token
        )

    async def AddClinicMember(
        self, request: pb.AddClinicMemberRequest, context: Context
    ) -> pb.AddClinicMemberResponse:
        clinic_id, role = to_id(request.clinic_id, "clinic_id"), messages.ROLES.name(request.role)
        await self._attempts.look_up(rpc.caller(), network(rpc.client_address()))
        async with self._changing(request, clinic_id) as tx:
            row = await members.add(tx, clinic_id, email=request.email, role=role)
            return tx.answer(pb.AddClinicMemberResponse(member=messages.member(row)))

    async def UpdateClinicMember(
        self, request: pb.UpdateClinicMemberRequest, context: Context
    ) -> pb.UpdateClinicMemberResponse:
        clinic_id, user_id = (
            to_id(request.clinic_id, "clinic_id"),
            to_id(request.user_id, "user_id"),
        )
        async with self._changing(request, clinic_id) as tx:
            row = await members.set_role(
                tx, clinic_id, user_id, role=messages.ROLES.name(request.role)
            )
            return tx.answer(pb.UpdateClinicMemberResponse(member=messages.member(row)))

    async def RemoveClinicMember(
        self, request: pb.RemoveClinicMemberRequest, context: Context
    ) -> pb.RemoveClinicMemberResponse:
        clinic_id, user_id = (
            to_id(request.clinic_id, "clinic_id"),
            to_id(request.user_id, "user_id"),
        )
        async with self._changing(request, clinic_id) as tx:
            await members.remove(tx, clinic_id, user_id)
            return tx.answer(pb.RemoveClinicMemberResponse())

    def _changing(self, request: Any, clinic_id: UUID) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction that changes the members of a clinic, once a request_id."""
        lock = members.clinic_lock(clinic_id)
        return self._db.transaction(rpc.caller(), once=request, lock=lock)

    async def _treating(self, symptoms: str) -> list[UUID] | None:
        """Answer the specialties that treat what somebody feels; None when nothing is said."""
        return list(await self._symptoms.specialties(symptoms)) if symptoms.strip() else None


async def _own_profile(tx: Transaction) -> doctor_profile_pb2.DoctorProfile:
    row = await profile.get(tx, tx.user_id)
    licence = await verification.latest(tx, tx.user_id)
    return messages.profile(row, licence, tx.now)


def _ids(request: pb.UpdateClinicMemberRequest | pb.RemoveClinicMemberRequest) -> tuple[UUID, UUID]:
    return to_id(request.clinic_id, "clinic_id"), to_id(request.user_id, "user_id")
