"""Three brokers, three servers on one log, and HAProxy before them, for tests that kill them."""

import contextlib
import ctypes
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from connect_server import imported

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADMIN = "/groundswell.v1.AdminService/"
TOPIC = "groundswell.default.requests"
PATIENCE_S = 180
# Less than the least of the ports that the kernel gives to who asks for any.
_PORTS = range(15000, 32000)


def becomes(condition, patience_s=PATIENCE_S):
    """Whether it comes true; so long is only waited for when it never does."""
    patience = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > patience:
            return False
        time.sleep(0.05)
    return True


def free_ports(count):
    """Ports that stay free while who had them is dead: nobody is given them."""
    ports = []
    for port in random.Random(os.getpid()).sample(_PORTS, len(_PORTS)):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no ports are free")


def post(port, path, message, timeout=60):
    """The answer of a call over HTTP as an object."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(message).encode(),
                                     {"Content-Type": "application/json", "Connect-Timeout-Ms": str(timeout * 1000)})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


class Brokers:
    """Three of them. `relay_ports`: of each server by its name, those at which it reaches them."""

    def __init__(self, script, directory, relay_ports):
        self._script, self._directory = script, directory
        relayed = [argument for name, ports in relay_ports.items()
                   for argument in ("--relayed", f"{name.upper()}:{','.join(map(str, ports))}")]
        # A broker that stands still is given up after three seconds, and not after nine.
        self.addresses = self._run("start", directory, "--nodes", 3, "--owner", os.getpid(), *relayed,
                                   "log.retention.ms=-1", "broker.session.timeout.ms=3000",
                                   "broker.heartbeat.interval.ms=500").strip()

    def relayed(self, name):
        """Where what a server sends is to be passed on to."""
        return (self._directory / f"relayed-{name.upper()}").read_text().strip().split(",")

    def _run(self, *arguments):
        done = subprocess.run([self._script, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments}: {done.stderr}")
        return done.stdout

    def signal(self, node, number):
        os.kill(int((self._directory / f"node-{node}" / "pid").read_text()), number)

    def start(self, node):
        self._run("start-node", self._directory, node)

    def stop(self):
        self._run("stop", self._directory)


class Relay:
    """The network between one server and the brokers: HAProxy, which passes bytes on. While it stands still, what is
    sent is lost, and nobody is told."""

    def __init__(self, directory, ports, targets):
        self.addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
        text = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
        for node, (port, target) in enumerate(zip(ports, targets, strict=True), 1):
            text += f"listen broker-{node}\n  bind 127.0.0.1:{port}\n  server broker-{node} {target}\n"
        (directory / "relay.cfg").write_text(text)
        self._log = (directory / "relay.log").open("w")
        self.process = subprocess.Popen(["haproxy", "-db", "-f", directory / "relay.cfg"], stdout=self._log,
                                        stderr=self._log)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self._log.close()


class SmallDisk:
    """A file system of its own at a directory, for this process and its children; it needs the rights of root."""

    SIZE_MB = 512

    @staticmethod
    def can_be_had():
        """Also makes what is mounted from here on invisible to others, and gone when this process and its children are.
        Call before there are threads."""
        system = ctypes.CDLL(None, use_errno=True)
        new_mounts, private, below = 0x20000, 1 << 18, 1 << 14  # CLONE_NEWNS, MS_PRIVATE, MS_REC
        return system.unshare(new_mounts) == 0 and system.mount(b"none", b"/", None, private | below, None) == 0

    def __init__(self, directory):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE_MB}m", "none", directory], check=True)
        self._directory, self._filler = directory, directory / "filler"

    def fill(self):
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for _ in range(self.SIZE_MB + 1):
                file.write(bytes(1 << 20))

    def free(self):
        self._filler.unlink()

    def remove(self):
        subprocess.run(["umount", "--lazy", self._directory], check=True)


class ClusterServer:
    """One server, at ports that stay its own; its database is made of `backup`."""

    def __init__(self, program, directory, ports, flags):
        self._program, self.directory, self.flags = program, directory, flags
        self.grpc, self.http, self.connect = ports
        self.data_dir = directory / "db"
        self.process = None
        directory.mkdir()

    def restore(self, backup):
        shutil.rmtree(self.data_dir, ignore_errors=True)
        subprocess.run([self._program, "restore", "--backup", backup, "--data-dir", self.data_dir], check=True,
                       capture_output=True)

    def start(self):
        """Starts it; it is ready when it says so."""
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen(
                [self._program, "serve", f"--server.data_dir={self.data_dir}",
                 f"--server.grpc_address=127.0.0.1:{self.grpc}", f"--server.http_address=127.0.0.1:{self.http}",
                 f"--server.connect_address=127.0.0.1:{self.connect}", "--logging.level=info", *self.flags],
                stdout=log, stderr=log)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/readyz", timeout=1):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def await_ready(self):
        def ended_or_ready():
            return self.process.poll() is not None or self.is_ready()
        # It has to apply what comes meanwhile too, beside all others.
        if not becomes(ended_or_ready, 4 * PATIENCE_S) or self.process.poll() is not None:
            raise RuntimeError(f"{self.directory.name} is not ready, exit status {self.process.poll()}: {self.log_end()}")

    def log_end(self):
        return (self.directory / "log").read_text(errors="replace")[-2000:]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)

    def graph(self, timeout=60):
        return post(self.connect, ADMIN + "GetServerStatus", {}, timeout)["graph"]


class Balancer:
    """HAProxy with docker/haproxy/haproxy.cfg, to which the servers' addresses and ports of its own are given."""

    def __init__(self, directory, servers):
        text = (ROOT / "docker/haproxy/haproxy.cfg").read_text()
        self.port, self._metrics = free_ports(5)[-2:]
        text = text.replace("bind :7100", f"bind 127.0.0.1:{self.port}").replace(
            "bind :8404", f"bind 127.0.0.1:{self._metrics}")
        for name, server in servers.items():
            text = re.sub(f"groundswell-{name}:7100(.*) port 7101", rf"127.0.0.1:{server.grpc}\1 port {server.http}", text)
        (directory / "haproxy.cfg").write_text(text)
        self._log = (directory / "haproxy.log").open("w")
        self.process = subprocess.Popen(["haproxy", "-db", "-f", directory / "haproxy.cfg"], stdout=self._log,
                                        stderr=self._log)

    def has_ended(self):
        return self.process.poll() is not None

    def up(self):
        """The servers that are asked for lists."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return set()
        return set(re.findall(r'haproxy_server_status\{proxy="lists",server="(\w+)",state="UP"\} 1', text))

    def stop(self):
        self.process.kill()
        self.process.wait()
        self._log.close()


class Cluster:
    """With `small_disks`, each server's directory is a SmallDisk, in `disks`."""

    def __init__(self, program, snapshot, kafka_script, directory, names="abc", small_disks=False):
        ports = iter(free_ports(6 * len(names)))
        relay_ports = {name: [next(ports) for _ in range(3)] for name in names}
        self.brokers = Brokers(kafka_script, directory / "kafka", relay_ports)
        self.servers, self.relays, self.disks = {}, {}, {}
        for name in names:
            server = ClusterServer(program, directory / name, [next(ports) for _ in range(3)],
                                   [f"--log.kafka_topic={TOPIC}", "--request.default_deadline_ms=60000"])
            self.servers[name] = server
            if small_disks:
                self.disks[name] = SmallDisk(server.directory)
            self.relays[name] = Relay(server.directory, relay_ports[name], self.brokers.relayed(name))
            server.flags.append(f"--log.kafka_brokers={self.relays[name].addresses}")
        first = self.servers[names[0]]
        shutil.copytree(imported(program, snapshot), first.data_dir)
        made = subprocess.run([program, "create-log", "--data-dir", first.data_dir, "--brokers", self.brokers.addresses,
                               "--topic", TOPIC], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(made.stderr)
        for name in names[1:]:
            self.servers[name].restore(first.data_dir)
        for server in self.servers.values():
            server.start()
        for server in self.servers.values():
            server.await_ready()

    def signal_all(self, number):
        for server in self.servers.values():
            if server.process is not None and server.process.poll() is None:
                server.signal(number)

    def stop(self):
        self.signal_all(signal.SIGCONT)
        for server in self.servers.values():
            server.kill()
        for relay in self.relays.values():
            relay.stop()
        for disk in self.disks.values():
            disk.remove()
        for node in (1, 2, 3):
            try:
                self.brokers.signal(node, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.brokers.stop()
