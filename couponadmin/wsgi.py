"""The web process's entry: `gunicorn couponadmin.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
os.environ["PROCESS_ROLE"] = "web"

application = get_wsgi_application()
