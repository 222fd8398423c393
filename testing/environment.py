"""Loaded by pytest before Django: the settings tests run under, whatever .env says."""

import atexit
import os
import shutil
import tempfile

# Workers of one run share the folder; whoever made it takes it away.
if "TEST_VAR_DIR" not in os.environ:
    os.environ["TEST_VAR_DIR"] = tempfile.mkdtemp(prefix="couponadmin-tests-")
    os.mkdir(os.path.join(os.environ["TEST_VAR_DIR"], "static"))
    atexit.register(shutil.rmtree, os.environ["TEST_VAR_DIR"], ignore_errors=True)

os.environ |= {
    "ENV_FILE": os.devnull,
    "VAR_DIR": os.environ["TEST_VAR_DIR"],
    "SECRET_KEY": "for tests only, not a secret at all, but long enough for all",
    "FIELD_KEYS": "dGVzdHMtb25seS1rZXktMzItYnl0ZXMtbG9uZy0wMDA=",
    "SITE_URL": "http://testserver",
    "EMAIL_URL": "memorymail://",
    "ALLOW_LOCAL_PROVIDERS": "1",
    "SHOP_NAME": "Test shop",
}
for outside in (
    "DEBUG",
    "PROXY_COUNT",
    "LINE_API_URL",
    "PADDLE_API_URL",
    "VIVOLDI_API_URL",
):
    os.environ.pop(outside, None)
