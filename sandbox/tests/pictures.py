"""A shop's pictures on a server of their own, and a coupon to hang them on."""

import io

from PIL import Image

from sandbox.tests.servers import Handler, Listener

PNG = b"\x89PNG\r\n\x1a\n" + b"a picture"
JPEG = b"\xff\xd8\xff\xe0" + b"another picture"


def new_photo():
    """A square PNG that a browser can show."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "#f2b25c").save(file, "PNG")
    return file.getvalue()


class PictureHandler(Handler):
    def do_GET(self):
        gallery = self.server.owner
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


class Gallery(Listener):
    """Serves `pictures` by path: bytes, or a status instead."""

    handler = PictureHandler

    def __init__(self):
        self.pictures: dict[str, bytes | int] = {"/a.png": PNG, "/b.jpg": JPEG}
        self.asked: list[str] = []
        super().__init__()
