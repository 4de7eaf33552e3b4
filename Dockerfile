# OpenClaw.jobs as an image: docs/how-to/run-in-containers.md
ARG PYTHON_IMAGE=python:3.13.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# Two environments: what builds the package stays here, what runs it goes into the image.
RUN python -m venv --without-pip /opt/openclaw-jobs && python -m venv --without-pip /opt/tools
COPY requirements/build.txt requirements/server.txt requirements/
RUN python -m pip --python /opt/openclaw-jobs install --require-hashes --only-binary=:all: -r requirements/server.txt
RUN python -m pip --python /opt/tools install --require-hashes --only-binary=:all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/tools/bin/hatchling build -t wheel -d dist \
 && python -m pip --python /opt/openclaw-jobs install --no-deps --no-index dist/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="OpenClaw.jobs" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 openclaw \
 && useradd --system --uid 10001 --gid openclaw --home-dir /var/lib/openclaw-jobs --create-home --shell /usr/sbin/nologin openclaw
COPY --from=build /opt/openclaw-jobs /opt/openclaw-jobs
ENV PATH=/opt/openclaw-jobs/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENCLAW_ENV=production
USER 10001:10001
WORKDIR /var/lib/openclaw-jobs
EXPOSE 8000
# A process that drains answers until its last request is over.
STOPSIGNAL SIGTERM
# Any other answer than 200 raises. A container that runs another command turns this off.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/api/health', timeout=4)"]
ENTRYPOINT ["openclaw-jobs"]
CMD ["web", "--host", "0.0.0.0", "--port", "8000"]
