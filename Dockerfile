# Two stages: the first installs into a virtual environment, the second takes over that and nothing else.
#
#     docker build -t benang .
#     docker build -t benang --build-arg PIP_EXTRA_ARGS="..." .     pip options that name the index of CPU wheels
#
# At a release pin the base image by digest (python:3.11-slim@sha256:...) in both stages.

FROM python:3.11-slim AS build

# The service runs on the CPU build of torch 2.13.0.  Where pip's usual index offers another build for the platform,
# say here where the CPU wheel lies; a build with GPU libraries works too but is several times as large.
ARG PIP_EXTRA_ARGS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH=/opt/benang/bin:$PATH
WORKDIR /src
RUN python -m venv /opt/benang
# The large layer: it stays cached while the lock stays the same.
COPY constraints.txt ./
RUN pip install $PIP_EXTRA_ARGS -c constraints.txt torch==2.13.0 setuptools
# The model, the migrations and the demo's articles travel inside the packages.
COPY pyproject.toml README.md LICENSE ./
COPY embeddings embeddings
COPY service service
RUN pip install $PIP_EXTRA_ARGS -c constraints.txt --no-build-isolation ".[postgres,otel]" \
    && python -m pip check


FROM python:3.11-slim

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp benang \
    && install -d -o benang -g benang -m 700 /data
COPY --from=build /opt/benang /opt/benang
# Compiled functions are kept in the volume: the first start takes half a minute, the next ones a moment.
# The container's own network is the fence: publish the port on loopback until there is a key.
ENV PATH=/opt/benang/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/data/.compiled \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    BENANG_DATA=/data \
    BENANG_HOST=0.0.0.0 \
    BENANG_OPEN_BEYOND_LOOPBACK=true
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ.get('BENANG_PORT', '8080')}/readyz\", timeout=4)"]
# Accepted articles are finished within 30 s of SIGTERM: stop with `docker stop --time 40`.
ENTRYPOINT ["benang"]
CMD ["serve"]
