"""What every service of the contract keeps beyond what buf lint can see.

`problems(files)` reads descriptors with their comments and says, one sentence each, what is wrong.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    MethodOptions,
)

from buf.validate import validate_pb2
from carelane.common.v1 import access_pb2, error_reason_pb2

TIMESTAMP = ".google.protobuf.Timestamp"
REASONS = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()[1:]}
CODES = {code.name for code in grpc.StatusCode}
SERVICE, METHOD = FileDescriptorProto.SERVICE_FIELD_NUMBER, 2
PERSONAL = re.compile(
    r"(^|_)(email|phone|password|full_name|diagnosis|symptoms_text|access_token|refresh_token)$"
)
# A clinic's telephone and a doctor's professional name are published to everyone.
PUBLISHED = {
    ".carelane.directory.v1.Clinic.phone",
    ".carelane.directory.v1.NewClinic.phone",
    ".carelane.directory.v1.Doctor.full_name",
    ".carelane.directory.v1.UpsertDoctorProfileRequest.full_name",
    ".carelane.admin.v1.Verification.full_name",
}


@dataclass(frozen=True, slots=True)
class Rpc:
    """A method with its comment and the messages of its file."""

    name: str
    comment: str
    method: MethodDescriptorProto
    messages: dict[str, DescriptorProto]

    @property
    def request(self) -> DescriptorProto:
        return self.messages.get(self.method.input_type, DescriptorProto())

    @property
    def response(self) -> DescriptorProto:
        return self.messages.get(self.method.output_type, DescriptorProto())

    @property
    def changes_something(self) -> bool:
        return self.method.options.idempotency_level != MethodOptions.NO_SIDE_EFFECTS


def problems(files: list[FileDescriptorProto]) -> list[str]:
    """Say what is wrong in `files`, which carry their source info."""
    found = [problem for rpc in rpcs(files) for problem in rpc_problems(rpc)]
    for name, message in messages(files).items():
        found += [f"{name[1:]}.{field}: {why}" for field, why in field_problems(name, message)]
    return found


def rpcs(files: list[FileDescriptorProto]) -> Iterator[Rpc]:
    known = messages(files)
    for file in files:
        comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        for s, service in enumerate(file.service):
            for m, method in enumerate(service.method):
                comment = comments.get((SERVICE, s, METHOD, m), "")
                yield Rpc(f"{service.name}.{method.name}", " ".join(comment.split()), method, known)


def messages(files: list[FileDescriptorProto]) -> dict[str, DescriptorProto]:
    found: dict[str, DescriptorProto] = {}
    for file in files:
        pending = [(f".{file.package}.{message.name}", message) for message in file.message_type]
        while pending:
            name, message = pending.pop()
            found[name] = message
            pending += [(f"{name}.{inner.name}", inner) for inner in message.nested_type]
    return found


def rpc_problems(rpc: Rpc) -> Iterator[str]:
    for check in (access, own_messages, errors, effects, pages, bounds):
        for why in check(rpc):
            yield f"{rpc.name}: {why}"


def access(rpc: Rpc) -> Iterator[str]:
    audiences = rpc.method.options.Extensions[access_pb2.access].audiences
    if not audiences or access_pb2.AUDIENCE_UNSPECIFIED in audiences:
        yield "does not say who may call it (option access)"


def own_messages(rpc: Rpc) -> Iterator[str]:
    for kind, given in (("Request", rpc.method.input_type), ("Response", rpc.method.output_type)):
        if given.rsplit(".", 1)[-1] != f"{rpc.method.name}{kind}":
            yield f"its {kind.lower()} is not {rpc.method.name}{kind}"


def errors(rpc: Rpc) -> Iterator[str]:
    _, said, sentence = rpc.comment.partition("Errors: ")
    if not said:
        yield "its comment has no 'Errors:'"
        return
    named = re.findall(r"\b([A-Z][A-Z_]{2,}) \(([A-Z_, ]+)\)", sentence)
    if not named and "none of its own" not in sentence:
        yield "its errors are not written as CODE (REASON)"
    for code, reasons in named:
        if code not in CODES:
            yield f"{code} is no status code"
        for reason in set(re.findall(r"[A-Z_]+", reasons)) - REASONS:
            yield f"{reason} is not in ErrorReason"


def effects(rpc: Rpc) -> Iterator[str]:
    reads_only = re.search(r"\bReads? only\b", rpc.comment) is not None
    if reads_only == rpc.changes_something:
        yield "its comment and its idempotency_level differ about whether it only reads"
    if not rpc.changes_something:
        return
    if not re.search(r"\b[Aa]tomic\b", rpc.comment):
        yield "its comment does not say whether it is atomic"
    has_id = any(field.name == "request_id" for field in rpc.request.field)
    explained = re.search(r"\b([Ii]dempotent\b|A repeat\b)", rpc.comment)
    if not has_id and not explained:
        yield "has no request_id, and its comment does not say what a repeat does"
    if "by request_id" in rpc.comment and not has_id:
        yield "its comment names a request_id that it does not have"


def pages(rpc: Rpc) -> Iterator[str]:
    if not rpc.method.name.startswith(("List", "Search")):
        return
    asked = {field.name: field.type for field in rpc.request.field}
    given = {field.name: field.type for field in rpc.response.field}
    if asked.get("page_size") != FieldDescriptorProto.TYPE_INT32:
        yield "a list without int32 page_size"
    if asked.get("page_token") != FieldDescriptorProto.TYPE_STRING:
        yield "a list without string page_token"
    if given.get("next_page_token") != FieldDescriptorProto.TYPE_STRING:
        yield "a list whose response has no string next_page_token"


def bounds(rpc: Rpc) -> Iterator[str]:
    """Find what a caller could send without end."""
    for field in rpc.request.field:
        rules = field.options.Extensions[validate_pb2.field]
        repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
        if repeated and not rules.repeated.HasField("max_items"):
            yield f"{field.name} may hold any number of items"
        text = rules.repeated.items.string if repeated else rules.string
        if field.type == FieldDescriptorProto.TYPE_STRING and not text.ListFields():
            yield f"{field.name} is a string without a rule"


def field_problems(name: str, message: DescriptorProto) -> Iterator[tuple[str, str]]:
    for field in message.field:
        if (field.type_name == TIMESTAMP) != field.name.endswith(("_time", "_times")):
            yield field.name, "instants are Timestamps named *_time, and nothing else is"
        if field.name.endswith("_id") and field.type != FieldDescriptorProto.TYPE_STRING:
            yield field.name, "ids are strings"
        if field.type_name == ".google.protobuf.Empty":
            yield field.name, "Empty cannot grow"
        personal = PERSONAL.search(field.name) and f"{name}.{field.name}" not in PUBLISHED
        if personal and not field.options.debug_redact:
            yield field.name, "personal data and secrets carry debug_redact"
