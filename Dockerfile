# The image: nothing but the executable, the libraries that it loads, and the few files that those read.
#
#   docker build -t understudy .
#   docker run -p 8700:8700 -v understudy:/var/lib/understudy --read-only --tmpfs /tmp understudy

FROM node:22-bookworm-slim AS build
WORKDIR /src
# First what changes seldom: packages are fetched again only when the lock file is another one.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --include=dev --include=optional
# The executable has its documentation and its licences in it.
COPY ARCHITECTURE.md LICENSE ./
COPY docs docs
COPY scripts scripts
COPY src src
RUN npm run build
RUN node scripts/image.mjs dist/understudy /image

FROM scratch
LABEL org.opencontainers.image.title="understudy" \
      org.opencontainers.image.description="A server for programs written against OpenAI's Assistants API, with any language model behind it." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /image/var/lib/understudy /var/lib/understudy
# Beyond this machine nobody comes in without a key: `understudy keys create --project NAME` makes one.
ENV UNDERSTUDY_HOST=0.0.0.0 \
    UNDERSTUDY_DATA=/var/lib/understudy \
    UNDERSTUDY_AUTH=keys
USER 65532:65532
WORKDIR /var/lib/understudy
VOLUME ["/var/lib/understudy"]
EXPOSE 8700
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/understudy", "health"]
ENTRYPOINT ["/usr/local/bin/understudy"]
CMD ["serve"]
