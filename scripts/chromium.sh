# Sourced by scripts/test: a browser for the tests of chat windows, where root and apt can have one (113 MB, half a minute, once).
# Where they cannot, those tests fail and say what to install.
install_chromium() {
  [ -x "${CHROMIUM_PATH:-/usr/bin/chromium}" ] && return
  if [ -n "${CHROMIUM_PATH:-}" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then return; fi
  say "• installing Chromium"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get -o Acquire::Retries=3 install -y --no-install-recommends chromium; } >.tollgate/chromium.log 2>&1 ||
    say "• Chromium could not be installed: see .tollgate/chromium.log"
}
