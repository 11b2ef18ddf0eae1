"""Message types of every kind, compiled from kinds.proto, and strategies that make messages."""

import importlib
from pathlib import Path

import google.type
import grpc_tools
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from grpc_tools import protoc

HERE = Path(__file__).parent
GOOGLE = Path(google.type.__path__[0]).parent.parent


def compile_kinds(folder: Path) -> dict[str, type[Message]]:
    """Compile kinds.proto into classes by message name, in the default pool."""
    image = folder / "kinds.binpb"
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    command = [
        "protoc",
        f"-I{HERE}",
        f"-I{GOOGLE}",
        f"-I{bundled}",
        f"--descriptor_set_out={image}",
    ]
    assert protoc.main([*command, str(HERE / "kinds.proto")]) == 0
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    pool = descriptor_pool.Default()
    for file in files.file:
        for needed in file.dependency:
            importlib.import_module(f"{needed.removesuffix('.proto').replace('/', '.')}_pb2")
        pool.AddSerializedFile(file.SerializeToString())
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{file.package}.{message.name}")
        )
        for file in files.file
        for message in file.message_type
    }


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, type[Message]]:
    """The classes of kinds.proto by message name."""
    return compile_kinds(tmp_path_factory.mktemp("kinds"))
