//! `multipart/form-data`, in which clients send a statement with its parameters.

use crate::Exception;

/// The boundary of a form, from its `Content-Type`; `None` for any other body.
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    Some(value.trim_matches('"').to_owned()).filter(|boundary| !boundary.is_empty())
}

/// The fields of a form, in its order.
///
/// # Errors
/// A body that is no form, and files, which would be external tables.
pub fn fields(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, Exception> {
    let bad = |what: &str| Exception::new(36, "BAD_ARGUMENTS", format!("multipart form: {what}"));
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // The first delimiter has no line break before it; with one put there, all are alike.
    let body = [b"\r\n", body].concat();
    let mut rest = after(&body, &delimiter).ok_or_else(|| bad("no boundary"))?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        let part = after(rest, b"\r\n").ok_or_else(|| bad("cut after a boundary"))?;
        // The headers may be none, so that their end comes at once.
        let (head, value_on) =
            split(part, b"\r\n\r\n").ok_or_else(|| bad("a part without end of headers"))?;
        let (value, next) = split(value_on, &delimiter).ok_or_else(|| bad("a part without end"))?;
        let head = String::from_utf8_lossy(head);
        if attribute(&head, "filename").is_some() {
            return Err(Exception::new(48, "NOT_IMPLEMENTED", "external tables are not implemented"));
        }
        let name = attribute(&head, "name").ok_or_else(|| bad("a part without name"))?;
        let value = String::from_utf8(value.to_vec()).map_err(|_| bad("a value that is not UTF-8"))?;
        fields.push((name, value));
        rest = next;
    }
    Ok(fields)
}

fn split<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    split(text, mark).map(|(_, rest)| rest)
}

fn attribute(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let value = line.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_its_fields() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("text/plain"), None);
        let body = b"--abc\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {x:String}\r\n\
                     --abc\r\nContent-Disposition: form-data; name=\"param_x\"\r\n\r\na\r\nb\r\n--abc--\r\n";
        let expected = vec![
            ("query".to_owned(), "SELECT {x:String}".to_owned()),
            ("param_x".to_owned(), "a\r\nb".to_owned()),
        ];
        assert_eq!(fields(body, "abc"), Ok(expected));
    }

    #[test]
    fn a_cut_form_and_a_file_are_refused() {
        assert!(
            fields(b"--abc\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSEL", "abc").is_err()
        );
        assert!(fields(b"nothing", "abc").is_err());
        let file = b"--abc\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\r\n--abc--";
        assert_eq!(fields(file, "abc").unwrap_err().code, 48);
    }
}
