//! What the compiler says to the likeliest mistakes. Each file in `tests/ui` makes one.
//!
//! The compiler's words change with its version. So `cargo test` leaves this test out, and `.ci/run ui`
//! runs it with the version that the words are from: `cargo test --all-features --test ui`. With
//! `TRYBUILD=overwrite` in the environment it writes the `.stderr` files anew.

#[test]
fn the_compiler_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
