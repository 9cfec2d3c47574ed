# The service, compiled, in a slim image. At run time it needs no shell, compiler or pip.
# scripts/image && docker run --network host -v "$PWD/example_cfg.yml:/config/txtoken.yml:ro" txtoken
# (The example's remote is on the same machine: scripts/demo --port 9999.)

# `scripts/image --pin` adds the digest of this tag, and Dependabot updates it: no build argument, which Dependabot does not read.
FROM docker.io/library/python:3.11-slim-bookworm AS base

FROM base AS build
# The compiler is also for dependencies without a wheel for the platform (linux/arm/v7), python3-dev for a base with Debian's Python.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils gcc libc6-dev python3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements/compile.txt requirements/run.txt requirements/
RUN python3 -m venv /build && /build/bin/pip install --no-cache-dir --no-compile --quiet --require-hashes -r requirements/compile.txt
RUN python3 -m venv /opt/txtoken && /opt/txtoken/bin/pip install --no-cache-dir --quiet --require-hashes -r requirements/run.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY txtoken txtoken
# Half of the wheels' content is for debuggers and C compilers.
RUN TXTOKEN_COMPILE=1 /build/bin/python -c 'from setuptools import build_meta; build_meta.build_wheel("/wheels")' \
    && /opt/txtoken/bin/pip install --no-cache-dir --quiet --no-deps /wheels/*.whl \
    && /opt/txtoken/bin/pip uninstall --quiet --yes setuptools pip \
    && find /opt/txtoken -name '*.so' -exec strip --strip-unneeded {} + \
    && find /opt/txtoken '(' -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' ')' -delete

FROM base
# scripts/image adds what a build alone knows: revision, created, and source if there is an address.
LABEL org.opencontainers.image.title="txtoken" \
      org.opencontainers.image.description="JSON Web Tokens in front of the login API that you already have" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/txtoken /opt/txtoken
ENV PATH=/opt/txtoken/bin:$PATH CFG_FILE=/config/txtoken.yml
# Tests the image, and writes the bytecode of the standard library's modules that the service uses: the official Python images
# have none, and the service may not write any.
RUN ["txtoken", "demo", "--once"]
ENV PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8888
STOPSIGNAL SIGTERM
# It finds the port in the configuration. Each check starts a process: not more often than needed.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s CMD ["txtoken", "health"]
ENTRYPOINT ["txtoken"]
CMD ["serve"]
