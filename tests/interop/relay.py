"""A relay before the broker that can cut connections, and sees what passes."""

import socket
import threading


class Relay:
    """Passes bytes on between clients and a port, until it is closed."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.connections = 0
        self.from_clients, self.to_clients = bytearray(), bytearray()
        self._cuts = {}  # by the list of bytes that is watched: how many more may pass
        self._pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_in(self, passed, count):
        """The connection ends as soon as `count` more bytes have gone this way: `passed` is
        from_clients or to_clients."""
        with self.changed:
            self._cuts[id(passed)] = count

    def wait_for(self, condition, timeout):
        with self.changed:
            return self.changed.wait_for(condition, timeout)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self.target))
            with self.changed:
                self.connections += 1
                self._pairs.append((client, broker))
                self.changed.notify_all()
            for source, sink, passed in ((client, broker, self.from_clients),
                                         (broker, client, self.to_clients)):
                threading.Thread(target=self._pump, args=(source, sink, passed),
                                 daemon=True).start()

    def _pump(self, source, sink, passed):
        try:
            while data := source.recv(65536):
                data, is_cut = self._note(data, passed)
                sink.sendall(data)
                if is_cut:
                    break
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _note(self, data, passed):
        """What may pass of the data, and whether it is the last."""
        with self.changed:
            left = self._cuts.pop(id(passed), None)
            is_cut = left is not None and len(data) >= left
            if is_cut:
                data = data[:left]
            elif left is not None:
                self._cuts[id(passed)] = left - len(data)
            passed += data
            self.changed.notify_all()
        return data, is_cut

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for pair in self._pairs:
            for end in pair:
                end.close()
