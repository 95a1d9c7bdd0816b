# What people repeat, for https://just.systems. How a check is done is in `.ci/run`.

# The targets.
default:
    @just --list --unsorted

# Compiles everything: library, tests, benches, examples.
check:
    cargo check --locked --all-targets --all-features

# Runs the tests: `just test`, `just test cache::`.
test *args:
    cargo test --all-features {{ args }}

# Format and clippy.
lint:
    .ci/run format clippy

# The documentation, with warnings as errors.
doc:
    .ci/run doc

# Each pair of features compiles.
features:
    .ci/run features crates

# Measures: `just bench`, `just bench --bench hit`.
bench *args:
    cargo bench --locked --all-features {{ args }}

# 40 seconds for each fuzz target.
fuzz:
    .ci/run fuzz

# Runs the tests against oidc-provider.
interop:
    .ci/run interop

# Runs the tests against Redis, and installs it if it is missing.
redis:
    .ci/run redis

# Runs the tests of the clients that have a package of their own.
clients:
    .ci/run clients

# Sends requests while all sorts of things go wrong: `just soak --minutes 2`.
soak *args:
    cargo run --locked --release --all-features --example soak -- {{ args }}

# Writes the snapshot of the public API anew, and shows what has changed.
api:
    .ci/run api

# Writes the compiler's messages in `tests/ui` anew.
ui:
    TRYBUILD=overwrite .ci/run ui

# Everything that must hold before a change lands, or these steps of it: `just ci format deny`.
ci *steps:
    .ci/run {{ steps }}
