# Sourced by scripts/dev and scripts/test: puts a good Node and pnpm on PATH and installs the packages.
# Needs any Node with npm on PATH. What is fetched lies in .tollgate/tools (git-ignored).
NODE_VERSION=$(cat .node-version)
PNPM_VERSION=$(sed -n 's/.*"packageManager": "pnpm@\([^"]*\)".*/\1/p' package.json)
TOOLS=$PWD/.tollgate/tools

say() { printf '%s\n' "$*" >&2; }

node_is_good() {
  command -v node >/dev/null 2>&1 &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 24 || (a === 24 && b >= 15) ? 0 : 1)' 2>/dev/null
}

pnpm_is_good() { [ "$(pnpm --version 2>/dev/null || true)" = "$PNPM_VERSION" ]; }

use_toolchain() {
  export PATH="$TOOLS/node_modules/.bin:$PATH"
  hash -r
  if ! node_is_good || ! pnpm_is_good; then
    if ! command -v npm >/dev/null 2>&1; then
      say "Tollgate needs Node.js with npm to begin with (any version): https://nodejs.org or your system's package manager."
      exit 1
    fi
    local platform wanted=("pnpm@$PNPM_VERSION")
    platform=$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
    node_is_good || wanted+=("node-$platform@$NODE_VERSION")
    say "• fetching ${wanted[*]}"
    # The npm that is there may be older than the Node it fetches: it runs on the Node that is there.
    npm install --no-save --no-audit --no-fund --loglevel=error --prefix "$TOOLS" "${wanted[@]}" >&2
    hash -r
  fi
  node_is_good || { say "No Node.js >= 24.15 could be had for this machine; install it by hand and try again."; exit 1; }
}

install_packages() {
  local stamp=node_modules/.tollgate-installed sum
  sum=$(cat pnpm-lock.yaml pnpm-workspace.yaml package.json packages/*/package.json services/*/package.json | cksum)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then return; fi
  say "• installing packages"
  pnpm install --frozen-lockfile --reporter=append-only >.tollgate/install.log 2>&1 || { tail -30 .tollgate/install.log >&2; exit 1; }
  printf '%s' "$sum" >"$stamp"
}
