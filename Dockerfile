# The service, compiled, in a slim image: no shell, compiler or pip is needed at run time.
# docker build -t txtoken . && docker run --network host -v "$PWD/example_cfg.yml:/config/txtoken.yml:ro" txtoken
# (The example's remote is on the same machine: scripts/demo --port 9999.)
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON} AS build
# The compiler is also for dependencies without a wheel for the platform (linux/arm/v7), python3-dev for a base that has Debian's Python.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils gcc libc6-dev python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements/compile.txt requirements/run.txt requirements/
RUN python3 -m venv /build && /build/bin/pip install --no-cache-dir --no-compile --quiet --require-hashes -r requirements/compile.txt
RUN python3 -m venv /opt/txtoken && /opt/txtoken/bin/pip install --no-cache-dir --quiet --require-hashes -r requirements/run.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY txtoken txtoken
# Half of what the wheels hold is for debuggers and C compilers.
RUN TXTOKEN_COMPILE=1 /build/bin/python -c 'from setuptools import build_meta; build_meta.build_wheel("/wheels")' \
    && /opt/txtoken/bin/pip install --no-cache-dir --quiet --no-deps /wheels/*.whl \
    && /opt/txtoken/bin/pip uninstall --quiet --yes setuptools pip \
    && find /opt/txtoken -name '*.so' -exec strip --strip-unneeded {} + \
    && find /opt/txtoken '(' -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' ')' -delete

FROM ${PYTHON}
LABEL org.opencontainers.image.title="txtoken" \
      org.opencontainers.image.description="Turns any JSON API into one that hands out signed tokens" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/txtoken /opt/txtoken
ENV PATH=/opt/txtoken/bin:$PATH CFG_FILE=/config/txtoken.yml
# Proves the image, and leaves bytecode of the standard library's modules that are used: the official Python images have none,
# and the service may not write any.
RUN ["txtoken", "demo", "--once"]
ENV PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8888
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["txtoken", "health"]
ENTRYPOINT ["txtoken"]
CMD ["serve"]
