"""Makes the generated part of the package from proto/: messages, and one typed method for each call.

    generate.py PACKAGE_DIRECTORY [PROTO_DIRECTORY]

writes PACKAGE_DIRECTORY/v1 (messages, with their types) and PACKAGE_DIRECTORY/_calls.py (methods). Needs
protoc 3.20 or later, and the .proto files of google.rpc: from Debian's golang-github-gogo-googleapis-dev,
or from the Python package googleapis-common-protos.
"""

import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

FILES = [f"groundswell/v1/{name}.proto" for name in ("recommend", "catalogue", "list_trace", "interaction", "admin")]
DEBIAN_GOOGLEAPIS = pathlib.Path("/usr/share/gocode/src/github.com/gogo/googleapis")
HEAD = '''"""{about}

Made by generate.py from proto/groundswell/v1.
"""

'''
CALLS = '''from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Iterator

from groundswell import v1
from groundswell._method import Method, Request, Response

'''
CLASS = '''

class {name}(abc.ABC):
    @abc.abstractmethod
    {a}def _unary(self, method: Method[Request, Response], request: Request,
               timeout: float | None) -> Response: ...

    @abc.abstractmethod
    def _stream(self, method: Method[Request, Response], request: Request,
                timeout: float | None) -> {iterator}[Response]: ...
'''
UNARY = '''
    {a}def {name}(self, request: v1.{request}, *,
            timeout: float | None = None) -> v1.{response}:
        """{about}"""
        return {wait}self._unary({constant}, request, timeout)
'''
STREAM = '''
    def {name}(self, request: v1.{request}, *,
            timeout: float | None = None) -> {iterator}[v1.{response}]:
        """{about}"""
        return self._stream({constant}, request, timeout)
'''


def googleapis():
    """A directory with google/rpc/status.proto."""
    if (DEBIAN_GOOGLEAPIS / "google/rpc/status.proto").exists():
        return DEBIAN_GOOGLEAPIS
    found = importlib.util.find_spec("google.rpc")
    for directory in found.submodule_search_locations if found else ():
        if (pathlib.Path(directory) / "status.proto").exists():
            return pathlib.Path(directory).parent.parent
    sys.exit("generate.py: google/rpc/status.proto is not here: install googleapis-common-protos")


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def comments(file):
    """By its path in the file, what is said above something."""
    return {tuple(location.path): location.leading_comments for location in file.source_code_info.location}


def calls(files):
    """(Service, method, what is said above it) of each call but Ingest and UpsertItems, whose clients are written by hand."""
    for file in files:
        said = comments(file)
        for at, service in enumerate(file.service):
            for number, method in enumerate(service.method):
                if not method.client_streaming:
                    about = said.get((6, at, 2, number), "")
                    yield service, method, "\n".join(line[1:] for line in about.rstrip("\n").split("\n"))


def calls_module(files):
    found = list(calls(files))
    text = HEAD.format(about="The calls of the services, typed, for both kinds of client.") + CALLS
    for service, method, _ in found:
        text += (f"_{snake(method.name).upper()} = Method(\n"
                 f"    \"/groundswell.v1.{service.name}/{method.name}\",\n"
                 f"    v1.{method.input_type.split('.')[-1]}, v1.{method.output_type.split('.')[-1]})\n")
    for name, iterator, is_async in (("Calls", "Iterator", False), ("AsyncCalls", "AsyncIterator", True)):
        text += CLASS.format(name=name, iterator=iterator, a="async " if is_async else "")
        for _, method, about in found:
            text += (STREAM if method.server_streaming else UNARY).format(
                name=snake(method.name), request=method.input_type.split(".")[-1],
                response=method.output_type.split(".")[-1], constant=f"_{snake(method.name).upper()}",
                about=about.replace("\n", "\n        ").replace("        \n", "\n"), iterator=iterator,
                a="async " if is_async else "", wait="await " if is_async else "")
    return text


def messages_module(files):
    names = {file.name: sorted(n.name for n in [*file.message_type, *file.enum_type]) for file in files}
    text = HEAD.format(about="The messages and enumerations of the API groundswell.v1.")
    for file, own in names.items():
        module = file.removesuffix(".proto").replace("/", ".") + "_pb2"
        text += f"from {module} import (\n" + "".join(f"    {name} as {name},\n" for name in own) + ")\n"
    return text


def generate(package, proto):
    package = pathlib.Path(package)
    with tempfile.TemporaryDirectory() as directory:
        described = pathlib.Path(directory) / "files"
        subprocess.run(["protoc", f"-I{proto}", f"-I{googleapis()}", f"--python_out={package.parent}",
                        f"--pyi_out={package.parent}", f"--descriptor_set_out={described}",
                        "--include_source_info", *FILES], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()).file
    (package / "v1/__init__.py").write_text(messages_module(files), encoding="utf-8")
    (package / "_calls.py").write_text(calls_module(files), encoding="utf-8")


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    generate(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else here.parent.parent / "proto")
