#!/bin/bash
# Builds the amphora image, asked as Octavia's script is. It only translates: `hydria image build` has the defaults, reads
# the AMP_* and DIB_* variables and does the work.
set -euo pipefail

script=$(readlink -f "${BASH_SOURCE[0]}")
root=$(dirname "$(dirname "$script")")

usage() {
    cat <<END
Usage: $(basename "$script") [options]
  -a NAME   architecture, as Debian names it
  -b NAME   what serves in the amphora: haproxy, nothing else
  -c DIR    cache of what is downloaded
  -d NAME   release of the base operating system
  -e        mandatory access control: accepted, the base has none to enforce
  -f        no tmpfs: accepted, none is used
  -g NAME   branch of the agent: accepted, the agent is this Hydria's
  -h        this text
  -i NAME   base operating system
  -k NAME   kernel package: linux-image-amd64, nothing else
  -l FILE   log of what the tools say
  -m        CPU pinning: all CPUs but the first for HAProxy
  -n        no SSH server: accepted, there is none unless AMP_ENABLE_SSHD=1
  -o FILE   the image
  -p        agent from a package: accepted, the agent is this Hydria's
  -r TEXT   root's password; AMP_ROOTPW hides it from the list of processes
  -s GB     size of the disk
  -t TYPE   qcow2, tar, vhd or raw
  -v        version
  -w DIR    where it is built
  -x        trace of every command in the log
  -y        FIPS 140 mode: refused
DIB_OCTAVIA_AMP_USE_NFTABLES=False leaves nftables out. All variables and defaults: docs/image.md, hydria image build --help.
END
}

say() { echo "$(basename "$script"): $*" >&2; }

refuse() {
    say "$*"
    exit 1
}

wrong_usage() {
    say "$*"
    usage >&2
    exit 1
}

hydria() {
    if [ -f "$root/uv.lock" ] && [ -d "$root/hydria/image" ]; then
        # A checkout, which has all that it needs in .venv once it is set up.
        [ -x "$root/.venv/bin/hydria" ] || "$root/scripts/setup" --image >&2
        exec "$root/.venv/bin/hydria" "$@"
    fi
    program=$(type -P hydria) || refuse "there is no hydria on the PATH: pip install 'hydria[server,image]'"
    exec "$program" "$@"
}

options=()
while getopts ":a:b:c:d:efg:hi:k:l:mno:pr:s:t:vw:xy" option; do
    case $option in
    a | c | d | i | l | o | s | t | w) options+=("-$option" "$OPTARG") ;;
    b) [ "$OPTARG" = haproxy ] || refuse "-b $OPTARG: an amphora is served by haproxy" ;;
    e) say "-e: there is nothing to enforce, the base system has no mandatory access control" ;;
    f) say "-f: no tmpfs is used anyway" ;;
    g) say "-g $OPTARG: not used, the agent is that of this Hydria" ;;
    h)
        usage
        exit 0
        ;;
    k) [ "$OPTARG" = linux-image-amd64 ] || refuse "-k $OPTARG: only linux-image-amd64 has the drivers of VFs" ;;
    m) options+=(--pinning) ;;
    n) options+=(--no-sshd) ;;
    p) say "-p: not used, the agent is that of this Hydria" ;;
    r) export AMP_ROOTPW=$OPTARG ;;
    v) hydria version ;;
    x) options+=(--trace) ;;
    y) refuse "-y: an image in FIPS 140 mode cannot be built: Debian has no validated modules" ;;
    :) wrong_usage "-$OPTARG needs a value" ;;
    *) wrong_usage "-$OPTARG: there is no such option" ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || wrong_usage "$1: there are options only"
[ -z "${CLOUD_INIT_DATASOURCES:-}" ] || say "CLOUD_INIT_DATASOURCES: not needed, the image reads its config drive itself"

hydria image build "${options[@]}"
