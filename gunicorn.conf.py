"""How the web process serves, under `make run` and in a container alike."""

import multiprocessing
import os
from typing import Any

bind = f"{os.environ.get('WEB_HOST', '127.0.0.1')}:{os.environ.get('WEB_PORT', '8000')}"
# Sync: a page is 2 ms of CPU, and threads halve what SQLite serves.
worker_class = "sync"
workers = int(
    os.environ.get("WEB_WORKERS") or min(2 * multiprocessing.cpu_count() + 1, 5)
)
timeout = 30  # seconds
graceful_timeout = 10  # seconds for requests under way at a stop
max_requests, max_requests_jitter = 10_000, 1_000
control_socket_disable = True
# No access log: a coupon's link is in the path, and whoever has it can redeem.
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "couponadmin.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []},
        "gunicorn.access": {"level": "INFO", "propagate": False, "handlers": []},
    },
}


def post_worker_init(worker: Any) -> None:
    """Let a long answer say that it goes on: the timeout is for one that hangs."""
    application = worker.wsgi

    def with_pulse(environ: dict[str, Any], start_response: Any) -> Any:
        environ["couponadmin.pulse"] = worker.notify
        return application(environ, start_response)

    worker.wsgi = with_pulse
