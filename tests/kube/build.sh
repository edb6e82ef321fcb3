#!/usr/bin/env bash
# Builds a real kube-apiserver and kube-controller-manager 1.20.2 from the source package that Debian
# 12 ships with everything vendored: seven CPU-minutes, 2.5 GB of disk meanwhile, 215 MB kept.
#
#   tests/kube/build.sh          build what is not there yet; prints the folder
#   tests/kube/build.sh source   only fetch the source
#   tests/kube/build.sh where    only print the folder
#
# The folder's name holds a digest of this file: another recipe is another folder. Nothing of the
# machine is changed but packages that are missing, and these only for root.
set -euo pipefail

release=1.20.2
upstream="1.20.5+really$release"
# Of the upstream archive: apt knows it from a signed index, this says that it is still the same.
sha256=b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc
go=/usr/lib/go-1.19
reflect2=/usr/share/gocode/src/github.com/modern-go/reflect2

recipe=$(sha256sum "${BASH_SOURCE[0]}" | cut -c 1-12)
root=${XDG_CACHE_HOME:-$HOME/.cache}/homeostat-testbed
out=$root/kube-$release-$recipe
sources=$root/source-$release

fail() { echo "tests/kube/build.sh: $*" >&2; exit 1; }

case ${1:-build} in
  where) echo "$out"; exit 0 ;;
  build | source) ;;
  *) fail "unknown word '$1'; there are build, source and where" ;;
esac
if [ "${1:-build}" = build ] && [ -x "$out/kube-controller-manager" ]; then echo "$out"; exit 0; fi

need=()
[ -x $go/bin/go ] || need+=(golang-1.19-go)
[ -d $reflect2 ] || need+=(golang-github-modern-go-reflect2-dev)
command -v dpkg-source >/dev/null || need+=(dpkg-dev)
# Without rsync the generators leave empty files behind, and say nothing.
for tool in rsync jq make; do command -v $tool >/dev/null || need+=("$tool"); done
if [ ${#need[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "apt-get install ${need[*]}"
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi

mkdir -p "$sources"
exec 9>"$root/lock"
flock 9 # of two that come at once, one builds

archive() { compgen -G "$sources/kubernetes_*really$release*.orig.tar.*" | head -n 1; }
fits() { [ -n "$(archive)" ] && echo "$sha256  $(archive)" | sha256sum --check --status; }
description() { compgen -G "$sources/kubernetes_*really$release*.dsc" | head -n 1; }

if ! fits || [ -z "$(description)" ]; then
  # The machine's own sources with their source packages switched on, in a folder of apt's own.
  apt=$(mktemp -d "$root/apt.XXXXXX")
  trap 'rm -rf "$apt"' EXIT
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$apt/parts/${file##*/}"
  done
  { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true; } |
    sed -nE 's/^deb(-src)?([[:space:]])/deb-src\2/p' | sort -u >"$apt/parts/own.list"
  cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/parts";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
CONF
  export APT_CONFIG=$apt/apt.conf
  apt-get update -qq 2>"$apt/said" || fail "the package lists cannot be read: $(cat "$apt/said")"
  version=$(apt-cache showsrc --only-source kubernetes | sed -n 's/^Version: //p' | grep -F "$upstream" | head -n 1)
  [ -n "$version" ] || fail "no source package kubernetes $upstream: that is Debian 12's"
  (cd "$sources" && apt-get source -qq --download-only "kubernetes=$version" >/dev/null 2>"$apt/said") ||
    fail "the source cannot be fetched: $(cat "$apt/said")"
  unset APT_CONFIG
  fits || fail "$(archive) is not the archive that was tried: $(sha256sum "$(archive)")"
fi
if [ "${1:-build}" = source ]; then echo "$sources"; exit 0; fi

work=$(mktemp -d "$root/work.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work" "${apt:-}"' EXIT
dpkg-source --no-check -x "$(description)" "$work/kubernetes" >/dev/null
cd "$work/kubernetes"
# With Go 1.18 and newer the vendored reflect2 1.0.1 ends the server at the first custom resource
# (SIGSEGV in mapiternext); Debian's 1.0.2 does not.
rm -rf vendor/github.com/modern-go/reflect2/*
cp $reflect2/*.go $reflect2/*.s vendor/github.com/modern-go/reflect2/

mkdir "$work/home" "$work/out"
env HOME="$work/home" PATH="$go/bin:$PATH" GOPROXY=off GOFLAGS=-mod=vendor CGO_ENABLED=0 \
  KUBE_BUILD_PLATFORMS="linux/$(dpkg --print-architecture)" KUBE_GIT_VERSION="v$release" \
  KUBE_GIT_MAJOR=1 KUBE_GIT_MINOR=20 KUBE_GIT_COMMIT=debian KUBE_GIT_TREE_STATE=clean \
  SOURCE_DATE_EPOCH=1610000000 \
  nice -n "${NICE:-5}" make WHAT="cmd/kube-apiserver cmd/kube-controller-manager" GOLDFLAGS="-s -w" \
  >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; fail "the build failed"; }
cp _output/bin/kube-apiserver _output/bin/kube-controller-manager "$work/out/"
for made in "$work"/out/*; do
  [ "$("$made" --version)" = "Kubernetes v$release" ] || fail "$made says $("$made" --version)"
done
rm -rf "$out" && mv "$work/out" "$out"
echo "$out"
