# One image for web, worker, beat and migrate; docker-compose.yml says which is which.
FROM python:3.12-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

RUN useradd --system --uid 10001 --home-dir /app coupons \
    && install -d -o coupons /app /app/var /data/media /data/sandbox
WORKDIR /app

COPY requirements.txt .
RUN pip install -r requirements.txt

COPY --chown=coupons . .
USER coupons
# Static files belong to the image, so that an upgrade brings its own. The secrets here
# are for this one command; the settings have no default for them.
RUN SECRET_KEY=build-only FIELD_KEYS=YnVpbGQtb25seS1rZXktMzItYnl0ZXMtbG9uZy0wMDA= \
    python manage.py collectstatic --noinput

ENV MEDIA_ROOT=/data/media WEB_HOST=0.0.0.0 WEB_PORT=8000
EXPOSE 8000
# Asked under the site's own name, the only one that ALLOWED_HOSTS lets in.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD \
    ["python", "-c", "import os, urllib.parse as p, urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:8000/healthz', headers={'Host': p.urlsplit(os.environ['SITE_URL']).netloc}), timeout=4)"]
CMD ["python", "-m", "gunicorn", "--config", "gunicorn.conf.py", "couponadmin.wsgi"]
