# How a peer in Rust is built and what it is made of. For its `run`, in its folder: prepare, versions LIBRARY…
# The build is current if nothing of its sources, the compiler's version and the CPU (target-cpu=native) has changed;
# then it needs no cargo.

program=target/release/$(basename "$PWD")

made_from() {
    cat Cargo.toml src/*.rs ../shared/rust_token/Cargo.toml ../shared/rust_token/src/*.rs ../shared/cargo.sh
    uname -m
    grep -m1 -E '^(flags|Features)' /proc/cpuinfo || true
}

prepare() {
    local wanted
    wanted=$(made_from | cksum)
    [ ! -x "$program" ] || [ "$wanted" != "$(cat target/made-from 2>/dev/null)" ] || return 0
    command -v cargo >/dev/null || { echo "needs cargo: install Rust 1.85 or newer" >&2; exit 69; }
    rm -f target/made-from
    RUSTFLAGS="-C target-cpu=native" cargo build --release --quiet >&2 ||
        { echo "needs its crates and a C compiler: cargo build failed in $PWD" >&2; exit 69; }
    { rustc --version | cut -d' ' -f1,2
      awk '$1 == "name" { name = $3 } $1 == "version" { gsub(/"/, "", name); gsub(/"/, "", $3); print name, $3 }' FS=' ' Cargo.lock
    } >target/versions
    echo "$wanted" >target/made-from
}

versions() {
    local name
    prepare
    for name in rustc "$@"; do
        awk -v name="$name" '$1 == name' target/versions
    done
}
