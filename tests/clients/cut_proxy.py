"""A way to a server that can be cut: what a network does to a client."""

import socket
import threading


class CutProxy:
    """Forwards connections to `target`, a port of this machine, which may change."""

    def __init__(self, target):
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open = []
        self._answer_bytes = None
        self._refusals = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self):
        """Ends all connections, with whatever is on its way."""
        with self._lock:
            ends, self._open = self._open, []
        self._end(*ends)

    def cut_in_answer(self, after_bytes):
        """As `cut`, once so many further bytes have come from the server."""
        self._answer_bytes = after_bytes

    def refuse(self, *answers):
        """Ends all connections, and each of as many further ones behind this answer to what comes first."""
        self._refusals = list(answers)
        self.cut()

    @property
    def refused_all(self):
        return not self._refusals

    def close(self):
        self._end(self._listener)  # ends _accept
        self._listener.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusals:
                threading.Thread(target=self._refuse, args=(client, self._refusals.pop(0)), daemon=True).start()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _refuse(self, client, answer):
        with client:
            try:
                if client.recv(65536) and answer:
                    client.sendall(answer)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
            except OSError:
                pass  # the client has ended it

    def _serve(self, client, server):
        with client, server:
            back = threading.Thread(target=self._forward, args=(server, client, True), daemon=True)
            back.start()
            self._forward(client, server, False)
            back.join()

    def _forward(self, one, other, is_answer):
        try:
            while data := one.recv(65536):
                if is_answer and self._answer_bytes is not None:
                    data = data[:self._answer_bytes]
                    self._answer_bytes -= len(data)
                other.sendall(data)
                if is_answer and self._answer_bytes == 0:
                    self._answer_bytes = None
                    self.cut()
        except OSError:
            pass  # it was cut
        self._end(one, other)

    @staticmethod
    def _end(*ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended
