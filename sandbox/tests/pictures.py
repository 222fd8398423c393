"""A shop's pictures on a server of their own, and a coupon to hang them on."""

import http.server
import io
import threading

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n" + b"a picture"
JPEG = b"\xff\xd8\xff\xe0" + b"another picture"


def new_photo():
    """A square PNG that a browser can show."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "#f2b25c").save(file, "PNG")
    return file.getvalue()


class Gallery:
    """Serves `pictures` by path: bytes, or a status instead."""

    def __init__(self):
        self.pictures: dict[str, bytes | int] = {"/a.png": PNG, "/b.jpg": JPEG}
        self.asked: list[str] = []
        gallery = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                gallery.asked.append(self.path)
                found = gallery.pictures.get(self.path, 404)
                raw = found if isinstance(found, bytes) else b"no picture"
                self.send_response(200 if isinstance(found, bytes) else found)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                try:
                    self.wfile.write(raw)
                except ConnectionError:
                    pass  # it had seen enough

            def log_message(self, *arguments):
                """Keep the test output clean."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
