"""The web process's entry: `gunicorn couponadmin.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")

application = get_wsgi_application()
