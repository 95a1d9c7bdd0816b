//! The `Retry-After` header (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap,
    header::{AsHeaderName, DATE, RETRY_AFTER},
};

const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// How long the server asks to be left alone (RFC 9110 section 10.2.3). A date counts from the
/// answer's own `Date`, so that a wrong clock here does no harm; `now` stands in for it.
///
/// `None` for what is no such value.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER)?;
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let delay = if is_number {
        // What fails is only too large.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let then = httpdate::parse_http_date(value).ok()?;
        let sent = text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
        then.duration_since(sent.unwrap_or(now)).unwrap_or_default()
    };
    Some(delay.min(LONGEST))
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_the_rest_is_ignored() {
        let date = |second| HeaderValue::from_str(&httpdate::fmt_http_date(at(second)));
        let read = |pairs: &[(HeaderName, HeaderValue)]| {
            retry_after(&pairs.iter().cloned().collect(), at(1_000)).map(|delay| delay.as_secs())
        };
        let text = |value: &'static str| vec![(RETRY_AFTER, HeaderValue::from_static(value))];

        assert_eq!(read(&text("7")), Some(7));
        assert_eq!(read(&text(" 7 ")), Some(7));
        assert_eq!(read(&text("0")), Some(0));
        assert_eq!(read(&text("9999999999")), Some(i32::MAX as u64));
        assert_eq!(read(&text("99999999999999999999")), Some(i32::MAX as u64));
        for garbage in ["", "-5", "+5", "1.5", "soon", "9999999999999999999x"] {
            assert_eq!(read(&text(garbage)), None, "{garbage}");
        }
        let then = date(1_060).expect("a date");
        assert_eq!(read(&[(RETRY_AFTER, then.clone())]), Some(60));
        assert_eq!(
            read(&[(RETRY_AFTER, then.clone()), (DATE, date(1_030).expect("a date"))]),
            Some(30)
        );
        assert_eq!(
            read(&[(RETRY_AFTER, then.clone()), (DATE, date(2_000).expect("a date"))]),
            Some(0)
        );
        assert_eq!(
            read(&[(RETRY_AFTER, then), (DATE, HeaderValue::from_static("today"))]),
            Some(60)
        );
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }
}
