//! Path globs, as the oracle reads them.
#![allow(missing_docs)]

use streamgauge_oracle::glob_matches;

#[test]
fn a_glob_matches_whole_segments() {
    assert!(glob_matches("services/cart/**", "services/cart/src/main.rs"));
    assert!(glob_matches("services/*/Cargo.toml", "services/cart/Cargo.toml"));
    assert!(glob_matches("services/cart", "services/cart/a/b"));
    assert!(!glob_matches("services/cart/**", "services/cartoon/main.rs"));
    assert!(!glob_matches("*.rs", "src/main.rs"));
}
