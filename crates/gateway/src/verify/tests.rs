//! Every scheme against what its vendor publishes, or what its documentation says how to compute; and each against a
//! wrong, a rotated, a missing and a replayed signature.

use super::*;
use hyper::header::{HeaderName, HeaderValue};
use ring::hmac;
use std::fmt::Write;

/// The time of Standard Webhooks' published example.
const NOW_S: i64 = 1_614_265_330;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(header).collect()
}

fn secrets(scheme: &Scheme, texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| (scheme.secret)(text).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hexadecimal HMAC-SHA256 of a text.
fn mac(secret: &str, text: &str) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes()).as_ref())
}

/// A delivery that is right, and what it was signed with.
struct Case {
    scheme: &'static str,
    secret: &'static str,
    other: &'static str,
    body: &'static str,
    headers: Vec<(&'static str, String)>,
    token: Option<&'static str>,
    /// Whether the body is signed, or only a token is shown.
    signs_body: bool,
    /// Whether a time is signed.
    signs_time: bool,
}

fn case(scheme: &'static str, header: &'static str, value: String) -> Case {
    Case {
        scheme,
        secret: "It's a Secret to Everybody",
        other: "another",
        body: "Hello World!",
        headers: vec![(header, value)],
        token: None,
        signs_body: true,
        signs_time: false,
    }
}

/// One delivery of each scheme but SNS, whose certificates `tests/sns.rs` makes. What vendors publish is marked so.
fn cases() -> Vec<Case> {
    let secret = "It's a Secret to Everybody";
    let plain = mac(secret, "Hello World!");
    let stated = format!("{NOW_S}");
    let sha512 = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes()), b"Hello World!");
    let token =
        |scheme, header, value: &str| Case { signs_body: false, ..case(scheme, header, value.to_owned()) };
    let standard = || {
        vec![
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
            ("webhook-timestamp", stated.clone()),
            // Published with the specification's libraries.
            (
                "webhook-signature",
                "v1,bm90IHRoaXMgb25l v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned(),
            ),
        ]
    };
    let webhooks = |scheme| Case {
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        other: "whsec_bm90IHRoaXMgb25l",
        body: r#"{"test": 2432232314}"#,
        headers: standard(),
        signs_time: true,
        ..case(scheme, "", String::new())
    };
    vec![
        Case {
            body: "Hello, World!",
            // Published: "Validating webhook deliveries".
            ..case(
                "github",
                "x-hub-signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".to_owned(),
            )
        },
        // Published by Atlassian for Bitbucket and Jira.
        case(
            "hub",
            "x-hub-signature",
            "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9".to_owned(),
        ),
        webhooks("gitlab"),
        token("gitlab_token", "x-gitlab-token", secret),
        webhooks("standard_webhooks"),
        case("pagerduty", "x-pagerduty-signature", format!("v1={},v2=00,v1={plain}", "0".repeat(64))),
        case("gitea", "x-gitea-signature", plain.clone()),
        case("terraform", "x-tfe-notification-signature", hex(sha512.as_ref())),
        case("flux", "x-signature", format!("sha256={plain}")),
        Case {
            secret: "another-secret",
            other: "hunter123",
            body: "lalala",
            // Published: "Outbound webhooks".
            ..case(
                "circleci",
                "circleci-signature",
                "v1=daa220016c8f29a8b214fbfc3671aeec2145cfb1e6790184ffb38b6d0425fa00,v2=x".to_owned(),
            )
        },
        case("sentry", "sentry-hook-signature", plain.clone()),
        Case {
            signs_time: true,
            ..case(
                "buildkite",
                "x-buildkite-signature",
                format!("timestamp={stated},signature={}", mac(secret, &format!("{stated}.Hello World!"))),
            )
        },
        case("launchdarkly", "x-ld-signature", plain),
        Case {
            signs_time: true,
            ..case(
                "rootly",
                "x-rootly-signature",
                format!("t={stated},v1={}", mac(secret, &format!("{stated}Hello World!"))),
            )
        },
        Case {
            secret: "Aladdin:open sesame",
            other: "Aladdin:open",
            // RFC 7617.
            ..token("basic", "authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        },
        Case { secret: "mF_9.B5f-4.1JqM", ..token("bearer", "authorization", "Bearer mF_9.B5f-4.1JqM") },
        Case { secret: "0a1b2c", headers: Vec::new(), token: Some("0a1b2c"), ..token("url_token", "", "") },
    ]
}

/// What a scheme says of a case, by these secrets, after a change.
fn said(case: &Case, texts: &[&str], body: &str, now_s: i64) -> Result<(), Refused> {
    let scheme = scheme(case.scheme).unwrap();
    let pairs: Vec<(&str, &str)> = case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let headers = headers(&pairs);
    let delivery = Delivery { headers: &headers, token: case.token, body: body.as_bytes(), now_s };
    (scheme.check)(&delivery, &secrets(scheme, texts))
}

#[test]
fn every_scheme_has_a_case() {
    let tried: Vec<&str> = cases().iter().map(|case| case.scheme).collect();
    let schemes: Vec<&str> =
        SCHEMES.iter().filter(|scheme| !scheme.is_sns()).map(|scheme| scheme.name).collect();
    assert_eq!(tried, schemes);
}

#[test]
fn what_is_signed_right_is_proved_and_so_it_is_by_a_rotated_secret() {
    for case in cases() {
        assert_eq!(said(&case, &[case.secret], case.body, NOW_S), Ok(()), "{}", case.scheme);
        assert_eq!(said(&case, &[case.other, case.secret], case.body, NOW_S), Ok(()), "{}", case.scheme);
        assert_eq!(said(&case, &[case.secret, case.other], case.body, NOW_S), Ok(()), "{}", case.scheme);
    }
}

#[test]
fn a_wrong_secret_and_a_changed_body_are_refused() {
    for case in cases() {
        let wrong = said(&case, &[case.other], case.body, NOW_S);
        assert!(matches!(wrong, Err(Refused::Mismatch(_))), "{}: {wrong:?}", case.scheme);
        assert!(said(&case, &[], case.body, NOW_S).is_err(), "{}: no secret proves nothing", case.scheme);
        let changed = said(&case, &[case.secret], "changed", NOW_S);
        assert_eq!(changed.is_err(), case.signs_body, "{}: {changed:?}", case.scheme);
    }
}

#[test]
fn what_is_not_signed_is_refused_and_each_header_is_needed() {
    for case in cases() {
        for at in 0..case.headers.len() {
            let mut without = Case { headers: case.headers.clone(), ..Case { token: None, ..copy(&case) } };
            let (name, _) = without.headers.remove(at);
            let refused = said(&without, &[case.secret], case.body, NOW_S);
            assert_eq!(refused, Err(Refused::Missing(name.into())), "{}", case.scheme);
        }
        if case.token.is_some() {
            let without = Case { token: None, ..copy(&case) };
            assert!(matches!(said(&without, &[case.secret], case.body, NOW_S), Err(Refused::Missing(_))));
        }
        for broken in [
            "",
            "x",
            "sha256=",
            "sha256=zz",
            "v1=",
            "v1,",
            "t=1",
            "Basic",
            "Bearer ",
            "timestamp=1,signature=x",
        ] {
            let mut other = copy(&case);
            for (_, value) in &mut other.headers {
                *value = broken.to_owned();
            }
            let refused = said(&other, &[case.secret], case.body, NOW_S);
            assert!(refused.is_err() || case.headers.is_empty(), "{}: {broken:?}", case.scheme);
        }
    }
}

fn copy(case: &Case) -> Case {
    Case { headers: case.headers.clone(), ..*case }
}

#[test]
fn a_replay_is_stale_where_its_time_is_signed_and_nowhere_else() {
    for case in cases() {
        for later in [SIGNED_WITHIN_S + 1, -SIGNED_WITHIN_S - 1] {
            let replayed = said(&case, &[case.secret], case.body, NOW_S + later);
            let stale = Err(Refused::Stale { age_s: later, most_s: SIGNED_WITHIN_S });
            assert_eq!(replayed, if case.signs_time { stale } else { Ok(()) }, "{}", case.scheme);
        }
        assert_eq!(
            said(&case, &[case.secret], case.body, NOW_S + SIGNED_WITHIN_S),
            Ok(()),
            "{}",
            case.scheme
        );
    }
}

#[test]
fn a_time_that_was_changed_is_no_longer_signed() {
    for case in cases().iter().filter(|case| case.signs_time) {
        let mut other = copy(case);
        for (_, value) in &mut other.headers {
            *value = value.replace("1614265330", "1614265331");
        }
        let refused = said(&other, &[case.secret], case.body, NOW_S);
        assert!(matches!(refused, Err(Refused::Mismatch(_))), "{}: {refused:?}", case.scheme);
    }
}

#[test]
fn no_message_repeats_a_secret_or_what_was_sent() {
    for case in cases() {
        for refused in [said(&case, &[case.other], case.body, NOW_S), said(&case, &[case.secret], "x", NOW_S)]
        {
            let Err(refused) = refused else { continue };
            let text = refused.to_string();
            for (_, value) in &case.headers {
                assert!(!text.contains(value.as_str()), "{text}");
            }
            assert!(!text.contains(case.secret) && !text.contains(case.other), "{text}");
        }
    }
}

#[test]
fn secrets_of_the_wrong_form_are_named() {
    for (name, text) in [
        ("standard_webhooks", "whsec_!"),
        ("standard_webhooks", "whsec_"),
        ("basic", "password only"),
        ("url_token", "a/b"),
        ("github", ""),
        ("sns", "x"),
    ] {
        assert!((scheme(name).unwrap().secret)(text).is_err(), "{name}: {text:?}");
    }
}

#[test]
fn every_source_has_a_scheme_that_fits_and_every_named_source_is_one() {
    for scheme in SCHEMES {
        for source in scheme.sources {
            assert!(sources::source(source).is_some(), "{}: {source}", scheme.name);
        }
    }
    for source in sources::SOURCES {
        assert!(SCHEMES.iter().any(|scheme| scheme.fits(source.name)), "{}", source.name);
    }
    assert_eq!(default_scheme("incidentio").unwrap().name, "standard_webhooks");
    assert_eq!(default_scheme("azure").unwrap().name, "basic");
    assert_eq!(default_scheme("gitlab").unwrap().name, "gitlab");
    assert!(default_scheme("alertmanager").is_none());
    assert!(!scheme("github").unwrap().fits("gitlab") && scheme("bearer").unwrap().fits("gitlab"));
}
