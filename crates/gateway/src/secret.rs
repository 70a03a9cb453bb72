//! A shared secret: made into a key once, compared in constant time, shown nowhere.

use ring::hmac::{self, Algorithm, Context, Key};
use std::fmt;
use subtle::ConstantTimeEq;

/// A secret that both sides know.
#[derive(Clone)]
pub struct Secret {
    key: Key,
    /// The secret under its own key: what is presented as a token is compared by it, so that not even lengths tell.
    own: hmac::Tag,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A secret whose bytes are the key.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let key = Key::new(algorithm, bytes);
        let own = hmac::sign(&key, bytes);
        Self { key, own }
    }

    /// Whether these parts, one after the other, were signed with it.
    pub fn signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        let mut context = Context::with_key(&self.key);
        parts.iter().for_each(|part| context.update(part));
        context.sign().as_ref().ct_eq(signature).into()
    }

    /// Whether this is the secret itself.
    pub fn is(&self, presented: &[u8]) -> bool {
        hmac::sign(&self.key, presented).as_ref().ct_eq(self.own.as_ref()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_and_shows_nothing() {
        let secret = Secret::new(hmac::HMAC_SHA256, b"hunter2");
        assert!(secret.is(b"hunter2"));
        assert!(!secret.is(b"hunter") && !secret.is(b"hunter22") && !secret.is(b""));
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
