"""A client in another language, knowing nothing but the address.

It asks the server's reflection service for the API, builds the messages from what it is told, checks
the health service, gets recommendations, ingests an interaction and sees it.

    reflection_test.py SERVER_PROGRAM SNAPSHOT_DIRECTORY
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from connect_server import imported

SERVICE = "groundswell.v1.RecommendationService"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
IDLE_CALLS_MAX = 4


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, payload):
    """A length-delimited field of the protobuf wire format."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def fields(data):
    """The length-delimited fields of a message as (number, payload); other kinds are passed over."""
    at = 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = read_varint()
        if key & 7 == 0:
            read_varint()
        elif key & 7 == 2:
            size = read_varint()
            yield key >> 3, data[at:at + size]
            at += size
        else:
            raise ValueError("unexpected wire type")


class Api:
    """The server's API as its reflection service describes it."""

    def __init__(self, channel):
        self._channel = channel
        self.pool = descriptor_pool.DescriptorPool()
        self._added = set()
        # Debian 12 has no Python package of the reflection protocol, so its two messages are written by
        # hand: file_containing_symbol is field 4 of the request, and the answer's field 4 holds
        # serialized FileDescriptorProtos in its field 1.
        self._reflect = channel.stream_stream(
            f"/{REFLECTION}/ServerReflectionInfo", request_serializer=None, response_deserializer=None)

    def _files(self, request):
        (response,) = list(self._reflect(iter([request])))
        for number, payload in fields(response):
            if number == 4:
                for inner, file_bytes in fields(payload):
                    if inner == 1:
                        yield descriptor_pb2.FileDescriptorProto.FromString(file_bytes)

    def load(self, symbol):
        """Adds the file that defines `symbol`, and what it imports, to the pool."""
        pending = {f.name: f for f in self._files(field(4, symbol.encode()))}
        while pending:
            for name, file in list(pending.items()):
                missing = [d for d in file.dependency if d not in self._added and d not in pending]
                for dependency in missing:
                    pending.update({f.name: f for f in self._files(field(3, dependency.encode()))})
                if all(d in self._added for d in file.dependency):
                    if name not in self._added:
                        self.pool.Add(file)
                        self._added.add(name)
                    del pending[name]

    def call(self, service, method, request):
        self.load(service)
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(method)
        factory = message_factory.MessageFactory(self.pool)
        message = factory.GetPrototype(descriptor.input_type)()
        json_format.ParseDict(request, message)
        response_type = factory.GetPrototype(descriptor.output_type)
        call = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=response_type.FromString)
        return call(message, timeout=20)


class ReflectionTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        data_dir = self.directory.name + "/db"
        shutil.copytree(imported(PROGRAM, SNAPSHOT), data_dir)
        self.server = subprocess.Popen(
            [PROGRAM, "serve", f"--server.data_dir={data_dir}", "--server.grpc_address=127.0.0.1:0",
             "--server.http_address=127.0.0.1:0", f"--server.idle_calls_max={IDLE_CALLS_MAX}",
             "--request.default_deadline_ms=60000", "--request.consistency_wait_ms=600000", "--logging.level=warn"],
            stdout=subprocess.PIPE, text=True)
        ports = dict(part.split("=") for part in self.server.stdout.readline().split()[1:])
        self.metrics_address = f"http://127.0.0.1:{ports['http_port']}/metrics"
        self.channel = grpc.insecure_channel(f"127.0.0.1:{ports['grpc_port']}")
        self.api = Api(self.channel)

    def tearDown(self):
        self.channel.close()
        self.server.terminate()
        self.assertEqual(self.server.wait(timeout=30), 0)
        self.server.stdout.close()
        self.directory.cleanup()

    def test_recommendations_and_an_interaction_by_reflection(self):
        response = self.api.call(SERVICE, "Recommend", {"user_id": "17850", "page_size": 5})
        self.assertEqual(len(response.items), 5)
        self.assertTrue(all(item.title for item in response.items))
        bought = response.items[0].item_id

        recorded = self.api.call(
            "groundswell.v1.InteractionService", "RecordInteraction",
            {"interaction": {"event_id": "by-reflection", "user_id": "17850", "item_id": bought,
                             "event_type": "purchase", "event_time": "2011-12-01T10:00:00Z"}})
        after = self.api.call(
            SERVICE, "Recommend",
            {"user_id": "17850", "page_size": 100,
             "consistency_token": recorded.consistency_token})
        self.assertNotIn(bought, [item.item_id for item in after.items])
        self.assertEqual(list(after.degradations), [])

    def test_all_that_is_served_is_listed_and_described(self):
        """By the messages as they are described, of which nothing is written by hand."""
        self.api.load(REFLECTION)
        factory = message_factory.MessageFactory(self.api.pool)
        package = REFLECTION.rpartition(".")[0]
        request = factory.GetPrototype(self.api.pool.FindMessageTypeByName(f"{package}.ServerReflectionRequest"))
        response = factory.GetPrototype(self.api.pool.FindMessageTypeByName(f"{package}.ServerReflectionResponse"))
        reflect = self.channel.stream_stream(f"/{REFLECTION}/ServerReflectionInfo",
                                             request_serializer=lambda m: m.SerializeToString(),
                                             response_deserializer=response.FromString)
        (listed,) = list(reflect(iter([request(list_services="")])))
        services = {service.name for service in listed.list_services_response.service}
        self.assertEqual(services, {SERVICE, "groundswell.v1.InteractionService", "groundswell.v1.AdminService",
                                    "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", REFLECTION})
        for service in services:
            self.api.load(service)
            self.assertGreater(len(self.api.pool.FindServiceByName(service).methods), 0)
        self.assertEqual(json_format.MessageToDict(self.api.call("grpc.health.v1.Health", "Check", {})),
                         {"status": "SERVING"})

    def test_errors_carry_details(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.api.call(SERVICE, "Recommend", {"user_id": ""})
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("user_id", raised.exception.details())
        self.assertIn("grpc-status-details-bin", dict(raised.exception.trailing_metadata()))

    def test_health_is_serving(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check",
                                         request_serializer=None, response_deserializer=None)
        for service in ("", SERVICE):
            # status is field 1, a varint; SERVING is 1.
            self.assertEqual(check(field(1, service.encode()) if service else b""), b"\x08\x01")

    def test_of_too_many_watches_the_oldest_is_ended(self):
        watch = self.channel.unary_stream("/grpc.health.v1.Health/Watch",
                                          request_serializer=None, response_deserializer=None)
        watches = [watch(b"", timeout=60)]
        for _ in range(IDLE_CALLS_MAX):
            self.assertEqual(next(watches[-1]), b"\x08\x01")
            watches.append(watch(b"", timeout=60))
        self.assertEqual(next(watches[-1]), b"\x08\x01")
        with self.assertRaises(grpc.RpcError) as ended:
            next(watches[0])
        self.assertEqual(ended.exception.code(), grpc.StatusCode.CANCELLED)
        self.assertTrue(all(one.is_active() for one in watches[1:]))
        with urllib.request.urlopen(self.metrics_address) as metrics:
            self.assertIn("\ngroundswell_idle_calls_ended_total 1\n", metrics.read().decode())
        for one in watches:
            one.cancel()


if __name__ == "__main__":
    PROGRAM, SNAPSHOT = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
