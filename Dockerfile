# One image for every role: `webhookcron api`, `ticker`, `worker`, `listen`, …
FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/webhookcron
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY webhookcron ./webhookcron
# docker build --build-arg EXTRAS=apprise,otel: more channels for alerts, traces.
ARG EXTRAS=
RUN /opt/webhookcron/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt \
    ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.11-slim
RUN groupadd --gid 10001 webhookcron \
    && useradd --uid 10001 --gid webhookcron --no-create-home --home-dir /nonexistent webhookcron \
    && install -d -o webhookcron -g webhookcron -m 0700 /keys
COPY --from=build /opt/webhookcron /opt/webhookcron
COPY wsgi.py /app/wsgi.py
WORKDIR /app
ENV PATH=/opt/webhookcron/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WEBHOOKCRON_HOST=0.0.0.0 \
    WEBHOOKCRON_LOG_FORMAT=json
USER webhookcron
EXPOSE 8000
# The API's own check; compose replaces it for the other roles, which listen on nothing.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('WEBHOOKCRON_PORT') or 8000}/health/ready\", timeout=4)"]
ENTRYPOINT ["webhookcron"]
CMD ["api"]
