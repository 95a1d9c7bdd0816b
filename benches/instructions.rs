//! Instructions of a hit, for `benches/instructions.sh`: the hits of one contestant are in a function
//! of their own, which callgrind can tell from what comes before.

#[path = "support/mod.rs"]
mod support;

use std::env;

use http::Request;
use tower::Service;

use support::*;

const HITS: usize = 1000;

/// Prints what there is to count.
struct Names;

impl Visitor for Names {
    fn visit<S, B>(&mut self, name: &str, _: S, _: impl Fn() -> Request<B>)
    where
        S: Service<Request<B>>,
        S::Error: std::fmt::Debug,
    {
        println!("{name}");
    }
}

struct Only(String);

impl Visitor for Only {
    fn visit<S, B>(&mut self, name: &str, mut service: S, request: impl Fn() -> Request<B>)
    where
        S: Service<Request<B>>,
        S::Error: std::fmt::Debug,
    {
        if name == self.0 {
            let mut requests: Vec<_> = (0..=HITS).map(|_| request()).collect();
            let first = requests.pop().expect("there is one more than hits");
            call(&mut service, first);
            hits(&mut service, requests);
        }
    }
}

#[inline(never)]
fn hits<S, B>(service: &mut S, requests: Vec<Request<B>>)
where
    S: Service<Request<B>>,
    S::Error: std::fmt::Debug,
{
    for request in requests {
        call(service, request);
    }
}

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [name, headers] => contestants(headers.parse().unwrap(), 40, &mut Only(name.clone())),
        _ => contestants(0, 40, &mut Names),
    }
}
