#!/usr/bin/python3
"""What a call over HTTP and JSON takes more than one over gRPC, from a caller's side.

One caller at a time asks one server on the bundled sample for lists: over gRPC (`groundswell load`), over HTTP with JSON and over HTTP
with protobuf (a plain socket, so that no client library counts), by turns, several times.

    bench/http_latency.py                       from build/release
    bench/http_latency.py --rounds 9 --json
"""

import argparse
import json
import re
import socket
import statistics
import tempfile
import time

from running_server import SAMPLE, RunningServer

PATH = "/groundswell.v1.RecommendationService/Recommend"
USER = "17850"


class Caller:
    """One kept connection."""

    def __init__(self, port, content_type, body):
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = (f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
                        f"Connect-Timeout-Ms: 10000\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body

    def call(self):
        self.connection.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.connection.recv(1 << 16)
        head, body = answer.split(b"\r\n\r\n", 1)
        length = int(re.search(rb"Content-Length: (\d+)", head, re.IGNORECASE).group(1))
        while len(body) < length:
            body += self.connection.recv(1 << 16)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode(errors="replace"))

    def median_ms(self, calls):
        took = []
        for _ in range(calls):
            begin = time.perf_counter()
            self.call()
            took.append(1000 * (time.perf_counter() - begin))
        return statistics.median(took)


def grpc_median_ms(server):
    report = server.call("load", "recommend", "--rate", 0, "--concurrency", 1, "--connections", 1, "--duration-s", 2, "--user", USER)
    return report["ok_latency_ms"]["p50"]


def varint_field(number, payload):
    """A short length-delimited field of the protobuf wire format."""
    return bytes([number << 3 | 2, len(payload)]) + payload


def measure(server, rounds, calls):
    port = server.ports["connect_port"]
    user_id = 3  # of RecommendRequest
    as_json = Caller(port, "application/json", json.dumps({"userId": USER}).encode())
    as_proto = Caller(port, "application/proto", varint_field(user_id, USER.encode()))
    figures = {"grpc_p50_ms": [], "json_p50_ms": [], "protobuf_p50_ms": []}
    for _ in range(rounds):
        figures["grpc_p50_ms"].append(grpc_median_ms(server))
        figures["json_p50_ms"].append(as_json.median_ms(calls))
        figures["protobuf_p50_ms"].append(as_proto.median_ms(calls))
    return {name: round(statistics.median(values), 3) for name, values in figures.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=500, help="of each kind in a round")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundswell-bench-") as directory:
        server = RunningServer(SAMPLE, directory, "--server.connect_address=127.0.0.1:0")
        try:
            figures = measure(server, arguments.rounds, arguments.calls)
        finally:
            server.stop()
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        more = value - figures["grpc_p50_ms"]
        print(f"{name:<18}{value:>8.3f}" + (f"  {more:+.3f}" if more else ""))


if __name__ == "__main__":
    main()
