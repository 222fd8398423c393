"""The second half of `make run`: check, prepare, start, watch, and stop all of it."""

import os
import signal
import sys

import environ

from run import ENV_FILE, CannotRun, interrupt, say
from running.accounts import with_accounts
from running.environment import check_ports, complete, only_one, var_dir
from running.house import House
from running.prepare import prepare


def main() -> int:
    """Run until Ctrl-C or SIGTERM; the exit code."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        environ.Env.read_env(os.environ.get("ENV_FILE", str(ENV_FILE)))
        var = var_dir(os.environ)
        (var / "logs").mkdir(parents=True, exist_ok=True)
        env = complete(with_accounts(os.environ, var / "sandbox.env"))
        with only_one(var / "run.lock"):
            check_ports(env)
            prepare(env)
            return House(env).run()
    except CannotRun as error:
        say(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
