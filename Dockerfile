# Claviger in a container: docker build -t claviger . ; docs/deploy.md says how to run it.
#
# The program is one file; beside it the image has the C library and nothing that could be used by
# whoever breaks in but a shell. Certificates of authorities are compiled in.

FROM rust:1.95-slim-bookworm AS build
# SQLite and ring are compiled from C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Twice, the second time by what the first one did: docs/adr/0048 says why.
RUN cargo run --locked --quiet --package xtask -- dist \
    && install -D target/dist/claviger /out/claviger \
    && install -d -m 0700 -o 65532 -g 65532 /out/data

FROM debian:bookworm-slim
COPY --from=build /out/claviger /usr/local/bin/claviger
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV CLAVIGER_DATA_DIR=/data \
    CLAVIGER_LISTEN=0.0.0.0:8420 \
    CLAVIGER_LOG_FORMAT=json
VOLUME /data
EXPOSE 8420
# SIGTERM is what it stops by: calls in flight finish, and what was counted is written.
STOPSIGNAL SIGTERM
# It reads the same settings as the program, and asks where that listens.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["claviger", "health"]
ENTRYPOINT ["claviger"]
CMD ["serve"]
