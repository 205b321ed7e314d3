"""A server on ports of its own, with the sample, and what asks it over HTTP."""

import atexit
import functools
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

JSON = {"Content-Type": "application/json"}


@functools.cache
def imported(program, snapshot):
    """A database with the snapshot, to be copied: importing takes longer. Made once, removed at the end."""
    directory = tempfile.TemporaryDirectory()
    atexit.register(directory.cleanup)
    data_dir = pathlib.Path(directory.name) / "db"
    subprocess.run([program, "import", "--snapshot", snapshot, "--data-dir", data_dir], check=True,
                   stdout=subprocess.DEVNULL)
    return data_dir


class Server:
    def __init__(self, program, snapshot, directory, *flags):
        self.data_dir = pathlib.Path(directory) / "db"
        if not self.data_dir.exists():
            shutil.copytree(imported(program, snapshot), self.data_dir)
        self.process = subprocess.Popen(
            [program, "serve", f"--server.data_dir={self.data_dir}", "--server.grpc_address=127.0.0.1:0",
             "--server.http_address=127.0.0.1:0", "--server.connect_address=127.0.0.1:0", "--logging.level=warn",
             "--request.default_deadline_ms=60000", "--request.consistency_wait_ms=600000", *flags],
            stdout=subprocess.PIPE, text=True)
        line = next(line for line in self.process.stdout if line.startswith("ready "))
        self.ports = {name: int(port) for name, port in re.findall(r"(\w+)_port=(\d+)", line)}

    def stop(self):
        self.process.terminate()
        self.process.stdout.close()
        return self.process.wait(60)

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.ports["connect"], timeout=60)

    def ask(self, path, body, headers=None, method="POST", connection=None):
        """Status, headers, body of one request."""
        own = connection or self.connection()
        own.request(method, path, body, JSON if headers is None else headers)
        answer = own.getresponse()
        content = answer.read()
        if connection is None:
            own.close()
        return answer.status, answer.headers, content

    def call(self, path, message, **fields):
        """The answer as an object; fails where it is an error."""
        status, headers, body = self.ask(path, json.dumps(message), {**JSON, **fields})
        assert status == 200 and headers["Content-Type"] == "application/json", (status, body)
        return json.loads(body)

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text
