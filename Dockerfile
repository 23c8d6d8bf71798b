# Martlet with the models of this repository.
#
#   docker build -t martlet .
#   docker run --rm -p 8001:8001 -p 127.0.0.1:8002:8002 martlet
#
# BUILDER has a Swift 6.2+ toolchain on Debian 12, RUNTIME is the Debian that it runs on.
ARG BUILDER=swift:6.3-bookworm
ARG RUNTIME=debian:bookworm-slim

FROM ${BUILDER} AS build
WORKDIR /source
COPY scripts/setup scripts/
RUN scripts/setup build
# The dependencies are fetched once, until Package.swift changes.
COPY Package.swift ./
RUN swift package resolve
COPY Sources Sources
COPY Tests Tests
# A target that Package.swift names must be there, built or not.
COPY Benchmarks/pipelines Benchmarks/pipelines
RUN swift build -c release --product martlet
COPY scripts/install-binary scripts/
RUN scripts/install-binary "$(swift build -c release --show-bin-path)/martlet" /opt/martlet/bin
COPY deployment/martlet.yaml /opt/martlet/
COPY models /opt/martlet/models
# The models load, with this binary, before there is an image of them.
RUN /opt/martlet/bin/martlet serve --check --config /opt/martlet/martlet.yaml --models /opt/martlet/models

FROM ${RUNTIME}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libprotobuf-c1 libssl3 libcurl4 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --no-create-home --shell /usr/sbin/nologin --uid 10001 martlet
COPY --from=build /opt/martlet /opt/martlet
# Without malloc's cache of each thread, as in deployment/systemd/martlet.service.
ENV PATH=/opt/martlet/bin:$PATH GLIBC_TUNABLES=glibc.malloc.tcache_count=0
USER 10001
WORKDIR /opt/martlet
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["martlet", "health", "--timeout", "2s"]
# A container is its own machine, so loopback would reach nobody: both ports listen on all addresses, which for the
# admin pages takes a flag of its own.
ENTRYPOINT ["martlet", "serve", "--config", "/opt/martlet/martlet.yaml", "--models", "/opt/martlet/models", \
  "--listen", "tcp://0.0.0.0:8001", "--admin", "0.0.0.0:8002", "--admin-allow-remote"]
