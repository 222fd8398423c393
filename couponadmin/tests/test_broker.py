"""Messages as files: what `make run` has in place of Redis."""

import pytest
from kombu import Connection
from kombu.utils.json import register_type

from couponadmin import broker


class Watcher:
    """Looks into the folder at the moment in which it is being written."""

    def __init__(self, look):
        self.look = look


register_type(Watcher, "watcher", lambda watcher: watcher.look(), lambda value: value)


@pytest.fixture
def channel(tmp_path):
    broker.register()
    folders = {
        "data_folder_in": str(tmp_path),
        "data_folder_out": str(tmp_path),
        "control_folder": str(tmp_path / "control"),
    }
    with Connection("files://localhost//", transport_options=folders) as connection:
        yield connection.channel()


def test_a_message_that_is_being_written_is_not_there_yet(channel):
    seen = []

    def look():
        seen.append(channel._size("work"))
        return "written"

    channel._put("work", {"body": Watcher(look)})

    assert seen == [0]
    assert channel._size("work") == 1
    assert channel._get("work")["body"] == "written"


def test_messages_are_taken_in_their_order_and_by_their_own_queue(channel, tmp_path):
    for number in range(3):
        channel._put("work", {"body": number})
    channel._put("other", {"body": "theirs"})

    assert sorted(channel._get("work")["body"] for _ in range(3)) == [0, 1, 2]
    assert channel._size("work") == 0
    assert channel._get("other")["body"] == "theirs"
    assert not list(tmp_path.glob("*.unfinished"))
