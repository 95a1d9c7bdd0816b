use std::{env, ops::RangeInclusive, time::Duration};

pub const USAGE: &str = "\
cargo run --release --example soak -- [options]

  --minutes N   how long requests are sent, 2 by default
  --seconds N   the same in seconds
  --seed N      the order of what goes wrong, printed at the end; another one each time by default
  --tasks N     how many callers there are, 64 by default";

pub struct Args {
    pub duration: Duration,
    pub seed: u64,
    pub tasks: u64,
}

impl Args {
    pub fn read() -> Result<Self, String> {
        let mut args = Self {
            duration: Duration::from_secs(120),
            seed: fastrand::u64(..1_000_000),
            tasks: 64,
        };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let mut number = |range: RangeInclusive<u64>| {
                let value = words.next().and_then(|value| value.parse().ok());
                value.filter(|value| range.contains(value)).ok_or_else(|| {
                    format!("{word} wants a number from {} to {}", range.start(), range.end())
                })
            };
            match &*word {
                "--minutes" => args.duration = Duration::from_secs(60 * number(1..=10_000)?),
                "--seconds" => args.duration = Duration::from_secs(number(4..=600_000)?),
                "--seed" => args.seed = number(0..=u64::MAX)?,
                "--tasks" => args.tasks = number(1..=10_000)?,
                _ => return Err(format!("{word} is no option")),
            }
        }
        Ok(args)
    }
}
