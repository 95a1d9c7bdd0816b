#!/usr/bin/env bash
# Instructions of a hit, counted by callgrind: the same number each time, whatever else the machine
# does. Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."

bench=$(cargo bench --bench instructions --no-run \
    --message-format json | grep -o '"executable":"[^"]*"' | tail -n 1 | cut -d '"' -f 4)

printf '%-34s %10s %10s\n' "instructions a hit" "0 headers" "8 headers"
"$bench" | while read -r name; do
    printf '%-34s' "$name"
    for headers in 0 8; do
        total=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
            --collect-atstart=no --toggle-collect='*instructions*hits*' \
            "$bench" "$name" "$headers" 2>&1 | awk '/Collected/ { print $4 }')
        printf ' %10d' $((total / 1000))
    done
    printf '\n'
done
