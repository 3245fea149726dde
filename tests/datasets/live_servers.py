"""Servers of live video on this computer: HTTP, as network cameras speak it, and RTSP."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image

Answer = Callable[[socket.socket], None]
SDP = (
    'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=clip\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n'
    'm=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\na=control:track\r\n'
)
RTSP = {
    'OPTIONS': ('Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n', ''),
    'DESCRIBE': (f'Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n', SDP),
    'SETUP': ('Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n', ''),
    'PLAY': ('Session: 1\r\n', ''),
}


@contextmanager
def serving(*answers: Answer) -> Iterator[int]:
    """The port of a server: each connection gets the next answer and is closed.

    From the last answer on nobody else is let in.
    """
    listener = socket.create_server(('127.0.0.1', 0))

    def serve() -> None:
        for number, answer in enumerate(answers, 1):
            try:
                connection, _ = listener.accept()
                if number == len(answers):
                    listener.close()
                with connection:
                    answer(connection)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(2**16):  # closed with this unread it would be reset,
                        pass  # and what is on its way be lost
            except OSError:  # the client has gone, or the test is over
                pass

    port = listener.getsockname()[1]
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield port
    finally:
        listener.close()


def raw(data: bytes) -> Answer:
    """Bytes over TCP."""
    return lambda connection: connection.sendall(data)


def http(data: bytes) -> Answer:
    """A body over HTTP that does not say how long it is."""

    def answer(connection: socket.socket) -> None:
        _request(connection.makefile('rb'))
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n' + data)

    return answer


def motion_jpeg(images: Sequence[np.ndarray]) -> Answer:
    """Images over HTTP, each a part of a message without end."""

    def answer(connection: socket.socket) -> None:
        _request(connection.makefile('rb'))
        kind = b'multipart/x-mixed-replace; boundary=frame'
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: ' + kind + b'\r\n\r\n')
        for image in images:
            file = BytesIO()
            Image.fromarray(image).save(file, 'jpeg', quality=95)
            head = f'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {file.tell()}\r\n\r\n'
            connection.sendall(head.encode() + file.getvalue() + b'\r\n')

    return answer


def rtsp(data: bytes) -> Answer:
    """An MPEG transport stream over RTSP, its RTP packets in the same connection."""

    def answer(connection: socket.socket) -> None:
        requests = connection.makefile('rb')
        while request := _request(requests):
            method = request[0].split()[0]
            sequence = next(line for line in request if line.lower().startswith('cseq'))
            head, body = RTSP[method]
            connection.sendall(f'RTSP/1.0 200 OK\r\n{sequence}\r\n{head}\r\n{body}'.encode())
            if method == 'PLAY':
                break
        for number, start in enumerate(range(0, len(data), 7 * 188)):
            packet = struct.pack('>BBHII', 0x80, 33, number, 90 * number, 1)
            packet += data[start : start + 7 * 188]
            connection.sendall(struct.pack('>cBH', b'$', 0, len(packet)) + packet)

    return answer


def _request(stream: BytesIO) -> list[str]:
    """Lines of a request's head; none where the client has gone."""
    lines = []
    while line := stream.readline().decode().strip():
        lines.append(line)
    return lines
