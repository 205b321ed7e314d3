"""The messages and calls of groundswell.v1, by the descriptors of its .proto files: those that an installed trainer has
beside this file (scripts/build-trainer), or those of proto/ in a checkout.

    api = Api()
    recommend = api.unary(channel, "RecommendationService", "Recommend")
    answer = recommend(api.RecommendRequest(user_id="17850"), timeout=1)
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS = "groundswell_v1.binpb"  # a FileDescriptorSet, with what the files import
_PACKAGE = "groundswell.v1"
_HERE = Path(__file__).resolve().parent
_GOOGLE_PROTOS = "/usr/share/gocode/src/github.com/gogo/googleapis"  # golang-github-gogo-googleapis-dev


class Api:
    """A message of the API for each attribute of its name. They are of a pool of their own, so that they do not meet
    those of the Python client in one process."""

    def __init__(self):
        self._pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(_descriptors()).file:
            self._pool.AddSerializedFile(file.SerializeToString())

    def __getattr__(self, name):
        try:
            return self._class_of(self._pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        except KeyError:
            raise AttributeError(f"{_PACKAGE} has no message {name}") from None

    def unary(self, channel, service, method):
        """A call with one request and one answer."""
        described = self._pool.FindServiceByName(f"{_PACKAGE}.{service}").FindMethodByName(method)
        return channel.unary_unary(
            f"/{_PACKAGE}.{service}/{method}", request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=self._class_of(described.output_type).FromString)

    def _class_of(self, descriptor):
        if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and later
            return message_factory.GetMessageClass(descriptor)
        return message_factory.MessageFactory(self._pool).GetPrototype(descriptor)


def _descriptors():
    installed = _HERE / DESCRIPTORS
    if installed.exists():
        return installed.read_bytes()
    proto = _HERE.parent / "proto"
    if not proto.is_dir():
        raise FileNotFoundError(f"{installed} is not there: make the trainer's wheel with scripts/build-trainer")
    if shutil.which("protoc") is None:
        raise FileNotFoundError("protoc is needed: scripts/install-packages")
    with tempfile.TemporaryDirectory(prefix="groundswell-descriptors-") as work:
        described = Path(work) / DESCRIPTORS
        subprocess.run([
            "protoc", f"-I{proto}", f"-I{_GOOGLE_PROTOS}", "--include_imports", f"--descriptor_set_out={described}",
            *sorted(str(path) for path in (proto / "groundswell/v1").glob("*.proto"))], check=True)
        return described.read_bytes()
