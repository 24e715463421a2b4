# The first demo: a slow server and one that is switched off among good ones. Sourced by tools/demo.
packages=(demo)

describe() {
    say "builds muster, starts 12 throw-away OpenSSH servers on this machine's loopback and benchmarks them with"
    say "scripts/demo.lua, 5 at once. One of them is slow and one is switched off: muster has to find these two."
}

arrange() {
    say "starting the servers in $servers"
    "$fleet" start "$servers" 12
    make_slow srv07
    "$fleet" kill "$servers" srv11
    command=("$muster" run "$source/scripts/demo.lua")
    say "running: muster run scripts/demo.lua -i inventory.json --known-hosts known_hosts --no-agent -j 5 ..."
}

judge() { # STATUS
    if [ "$1" = 1 ] && grep -Eq 'failed_servers=\[srv07\]' "$results/summary" &&
        grep -Eq 'unmeasured_servers=\[srv11\]' "$results/summary"; then
        say "as arranged: srv07 is too slow, srv11 does not answer, the other ten passed"
        return 0
    fi
    die "not as arranged: muster's exit code is $1 (1 was expected: a server failed), or its summary above does not
name exactly srv07 as failed and srv11 as not measured"
}
