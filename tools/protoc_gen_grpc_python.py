#!/usr/bin/env python
"""Be the grpc_python plugin of protoc.

grpcio-tools carries that plugin inside its protoc and not as a program, so this one hands what it
is asked to that protoc. Files without a service get no (empty) module.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet


def generate(request: CodeGeneratorRequest, folder: Path) -> CodeGeneratorResponse:
    wanted = set(request.file_to_generate)
    names = [file.name for file in request.proto_file if file.service and file.name in wanted]
    answer = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
    if not names:
        return answer
    known = folder / "known.binpb"
    known.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={known}"]
    subprocess.run([*command, f"--grpc_python_out={folder}", *names], check=True, cwd=folder)
    for path in sorted(folder.rglob("*.py")):
        answer.file.add(name=path.relative_to(folder).as_posix(), content=path.read_text("utf-8"))
    return answer


def main() -> None:
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.buffer.write(generate(request, Path(folder)).SerializeToString())


if __name__ == "__main__":
    main()
