"""`python -m sandbox`: LINE, Paddle and Vivoldi on this machine, until Ctrl-C."""

import argparse
import asyncio
import errno
import os
import signal
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.app import new_app
from sandbox.book import Book
from sandbox.storage import Storage
from sandbox.world import World, WorldError

SHUTDOWN = 1.0  # seconds for answers under way


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; the exit code."""
    options = parse(arguments, os.environ)
    try:
        world = World(Storage(options.data))
        prepare(world, options)
        return asyncio.run(serve(world, options.host, options.port))
    except WorldError as error:
        return complain(str(error))
    except (OSError, sqlite3.Error) as error:
        return complain(f"The sandbox cannot start: {error}")


def parse(
    arguments: Sequence[str] | None, env: Mapping[str, str]
) -> argparse.Namespace:
    """Options, each with an environment variable behind it."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description=(
            "Plays LINE, Paddle and Vivoldi on this machine: for trying out and for "
            "tests, never to be reached from the internet."
        ),
    )
    add = parser.add_argument
    add("--host", default=env.get("SANDBOX_HOST", "127.0.0.1"))
    add("--port", type=int, default=env.get("SANDBOX_PORT", "8020"))
    add("--data", default=env.get("SANDBOX_DATA", "var/sandbox.sqlite3"))
    add("--channel", default=env.get("SANDBOX_CHANNEL", "Sandbox"))
    add("--token", default=env.get("SANDBOX_LINE_TOKEN"))
    add("--secret", default=env.get("SANDBOX_LINE_SECRET"))
    add("--bot-user-id", default=env.get("SANDBOX_BOT_USER_ID"))
    add("--webhook", default=env.get("SANDBOX_WEBHOOK_URL"))
    add(
        "--friend",
        action="append",
        default=names(env.get("SANDBOX_FRIENDS", "")),
        metavar="NAME[=USER_ID]",
        help="somebody who follows the account; may be given more than once",
    )
    add("--paddle", default=env.get("SANDBOX_PADDLE_NAME", "Paddle"))
    add(
        "--paddle-vendor-id",
        type=int,
        default=env.get("SANDBOX_PADDLE_VENDOR_ID") or None,
    )
    add("--paddle-auth-code", default=env.get("SANDBOX_PADDLE_AUTH_CODE"))
    add("--paddle-key", default=env.get("SANDBOX_PADDLE_KEY"))
    add("--paddle-webhook", default=env.get("SANDBOX_PADDLE_WEBHOOK_URL"))
    add("--vivoldi", default=env.get("SANDBOX_VIVOLDI_NAME", "Vivoldi"))
    add("--vivoldi-api-key", default=env.get("SANDBOX_VIVOLDI_API_KEY"))
    add("--vivoldi-secret", default=env.get("SANDBOX_VIVOLDI_SECRET"))
    add("--vivoldi-plan", default=env.get("SANDBOX_VIVOLDI_PLAN"))
    add("--vivoldi-webhook", default=env.get("SANDBOX_VIVOLDI_WEBHOOK_URL"))
    return parser.parse_args(arguments)


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def prepare(world: World, options: argparse.Namespace) -> None:
    """Set up the accounts and friends of the command line. Raises WorldError."""
    prepare_line(world, options)
    paddle = {
        "vendor_id": options.paddle_vendor_id,
        "auth_code": options.paddle_auth_code,
        "private_key": options.paddle_key,
        "webhook_url": webhook(world.paddle, options.paddle, options.paddle_webhook),
    }
    world.paddle.put(options.paddle, **given(paddle))
    vivoldi = {
        "api_key": options.vivoldi_api_key,
        "secret": options.vivoldi_secret,
        "plan": options.vivoldi_plan,
        "webhook_url": webhook(world.vivoldi, options.vivoldi, options.vivoldi_webhook),
        "is_limited": True,
    }
    world.vivoldi.put(options.vivoldi, **given(vivoldi))


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that have a value."""
    return {key: value for key, value in settings.items() if value}


def webhook(book: Book[Any], name: str, url: str | None) -> str | None:
    """The address to set, unless a person has set another one on the account's page.

    A connection that was added by hand has a hook key of its own, which stays; the
    address we were given may come with another port.
    """
    known = book.accounts.get(name)
    path = urlsplit(known.webhook_url).path if known else ""
    return url if not path or path == urlsplit(url or "").path else None


def prepare_line(world: World, options: argparse.Namespace) -> None:
    """Set up the channel and its friends."""
    settings = {
        "token": options.token,
        "secret": options.secret,
        "bot_user_id": options.bot_user_id,
        "webhook_url": options.webhook,
    }
    channel = world.put_channel(options.channel, **given(settings))
    for text in options.friend:
        name, _, user_id = text.partition("=")
        friend = world.add_friend(
            channel, name, user_id=user_id.strip() or None, follows=False
        )
        if friend.state.value == "none":  # who blocked us stays so after a restart
            world.add_friend(channel, name, user_id=friend.user_id)


async def serve(world: World, host: str, port: int) -> int:
    """Answer until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(new_app(world), access_log=None, shutdown_timeout=SHUTDOWN)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        sys.stdout.write(f"Sandbox ready: http://{host}:{bound}/\n")
        sys.stdout.flush()
        await stop.wait()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return complain(
            f"Port {port} on {host} is taken. Stop what uses it, or choose another "
            "with --port or SANDBOX_PORT."
        )
    finally:
        await runner.cleanup()
    return 0


def complain(sentence: str) -> int:
    """Say why it does not run."""
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
