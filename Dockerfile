# One image for every process of Bailiwick; the command says which. Built from a checkout:
#   docker build -t bailiwick .
# It runs without a shell, as a user without rights, and with a read-only root.

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
COPY src src
COPY workers workers
COPY dashboards dashboards
COPY sql sql
COPY data data
# Compiles as well: the package's `prepare`.
RUN npm ci --no-audit --no-fund

# What runs, and nothing that only builds. No package of these needs a script to be installed.
FROM node:20-bookworm-slim AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm cache clean --force

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY --from=modules /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY sql sql
COPY data data
COPY dashboards/web dashboards/web
COPY deploy/healthcheck.mjs deploy/healthcheck.mjs
# A volume that is empty takes its owner from here.
RUN cd /var/lib && mkdir -p bailiwick/spool bailiwick/respond bailiwick/api && chown -R node:node bailiwick
USER node
ENTRYPOINT ["node", "/app/dist/src/cli/main.js"]
CMD ["--help"]
# Ready means getting on with its work: see /ready of BAILIWICK_LISTEN.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "/app/deploy/healthcheck.mjs"]
