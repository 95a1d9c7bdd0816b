//! What the compiler says to the likeliest mistakes. Each file in `tests/ui` makes one.
//!
//! The compiler's words change with its version, so that these run where they are asked for, with
//! the version that `.ci/run` names: `cargo test --all-features --test ui -- --ignored`. With
//! `TRYBUILD=overwrite` in the environment it writes the `.stderr` files anew.

#[test]
#[ignore = "the wording is one compiler version's, `.ci/run ui` runs it with that version"]
fn the_compiler_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
