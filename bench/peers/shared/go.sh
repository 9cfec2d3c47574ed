# How a peer in Go is built. For its `run`, in its folder: prepare.
# The build is current if none of its sources has changed; then it needs no go.

program=bin/$(basename "$PWD")

prepare() {
    local wanted
    wanted=$(cat go.mod go.sum *.go ../shared/gotoken/go.* ../shared/gotoken/*.go ../shared/go.sh | cksum)-$(uname -m)
    [ ! -x "$program" ] || [ "$wanted" != "$(cat bin/made-from 2>/dev/null)" ] || return 0
    command -v go >/dev/null || { echo "needs go: install Go 1.26 or newer" >&2; exit 69; }
    rm -f bin/made-from
    go build -mod=readonly -trimpath -buildvcs=false -ldflags=-s -o "$program" . >&2 ||
        { echo "needs its modules: go build failed in $PWD" >&2; exit 69; }
    echo "$wanted" >bin/made-from
}
