# The service, compiled, in a slim image: no shell, compiler or pip is needed at run time.
# docker build -t txtoken . && docker run -p 8888:8888 -v "$PWD/example_cfg.yml:/config/txtoken.yml:ro" txtoken
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY constraints.txt constraints-run.txt ./
RUN python3 -m venv /build && /build/bin/pip install --no-cache-dir --quiet --require-hashes -r constraints.txt
RUN python3 -m venv /opt/txtoken && /opt/txtoken/bin/pip install --no-cache-dir --quiet --require-hashes -r constraints-run.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY txtoken txtoken
RUN TXTOKEN_COMPILE=1 /build/bin/python -c 'from setuptools import build_meta; build_meta.build_wheel("/wheels")' > /dev/null \
    && /opt/txtoken/bin/pip install --no-cache-dir --quiet --no-deps /wheels/*.whl \
    && /opt/txtoken/bin/pip uninstall --quiet --yes setuptools pip \
    && find /opt/txtoken -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' | xargs rm -f

FROM ${PYTHON}
LABEL org.opencontainers.image.title="txtoken" \
      org.opencontainers.image.description="Turns any JSON API into one that hands out signed tokens" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/txtoken /opt/txtoken
ENV PATH=/opt/txtoken/bin:$PATH CFG_FILE=/config/txtoken.yml PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8888
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["txtoken", "health"]
ENTRYPOINT ["txtoken"]
CMD ["serve"]
