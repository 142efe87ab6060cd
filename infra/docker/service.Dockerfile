# The image of a service: docker build --file infra/docker/service.Dockerfile --build-arg SERVICE=auth .
#
# The base is named by version and digest (the index of all platforms); Renovate moves both. The stage `tools` is what a build
# without a registry replaces, with --build-context tools=docker-image://…: a Node with pnpm, and the packages in /pnpm/store.
ARG NODE_IMAGE=node:24.21.0-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6

FROM ${NODE_IMAGE} AS tools
ARG PNPM_VERSION=12.21.0
RUN npm install --global --no-audit --no-fund "pnpm@${PNPM_VERSION}"

# Packages come before the sources: they are fetched again only when the lockfile changes.
FROM tools AS workspace
ENV CI=true
WORKDIR /src
COPY pnpm-lock.yaml pnpm-workspace.yaml package.json ./
RUN pnpm fetch --store-dir=/pnpm/store --prefer-offline
COPY . .
RUN pnpm install --offline --frozen-lockfile --trust-lockfile --store-dir=/pnpm/store
RUN pnpm exec tsc -b services/auth services/accounting services/chat-proxy

FROM workspace AS packed
ARG SERVICE
# Of what is left some is read by compilers and people only. The maps of our own code stay: stack traces name its lines.
RUN pnpm --filter="@tollgate/${SERVICE}" deploy --prod --offline --trust-lockfile --store-dir=/pnpm/store /app \
  && find /app \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.d.ts.map' -o -name '.tsbuildinfo' \) -delete \
  && find /app/node_modules -name '*.map' -not -path '*/@tollgate*' -delete \
  && rm -rf /app/pnpm-lock.yaml /app/pnpm-workspace.yaml /app/README.md /app/node_modules/.pnpm/@types+*

FROM ${NODE_IMAGE} AS service
ENV NODE_ENV=production
WORKDIR /app
COPY infra/docker/healthcheck.mjs /usr/local/lib/healthcheck.mjs
COPY --from=packed /app ./
# Nothing here belongs to the user who runs it, and nothing has to be written: start it with a read-only root.
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["node", "/usr/local/lib/healthcheck.mjs"]
# No shell and no init: the process hears SIGTERM itself and has no children. Migrations: the same image, dist/migrate-main.js.
# V8 chooses its young generation by the memory of the machine or container, from 8 to 32 MiB a half: the same everywhere is what
# was measured. One thread collects it: two take more of the processor than they save.
ENTRYPOINT ["node", "--enable-source-maps", "--max-semi-space-size=16", "--no-parallel-scavenge"]
CMD ["dist/main.js"]
