//! Starts the processes, and does to them what services live through.

use std::{
    env,
    process::{ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::sleep,
};
use tower_bearer::{
    BoxError,
    testing::{AuthorizationServer, ProtectedApi},
};

use crate::{
    process::{CLIENT, SECRET, Settings},
    redis::Redis,
    table::{Row, Tally},
};

const PROCESSES: usize = 8;
const KILLED: usize = 2;
/// Of the first token. The fleet renews it when a fifth of that is left.
const SHORT: Duration = Duration::from_secs(5);
/// Of the later ones, which no phase sees the end of.
const LONG: Duration = Duration::from_secs(300);
const PHASE: Duration = Duration::from_millis(1500);
/// How long Redis is away.
const AWAY: Duration = Duration::from_secs(10);

pub async fn run() -> Result<ExitCode, BoxError> {
    let issuer = AuthorizationServer::start().await?;
    issuer.client(CLIENT, SECRET);
    issuer.one_token_per_client();
    issuer.token_lifetime(SHORT);
    let api = ProtectedApi::start(&issuer).await?;

    let directory = tempfile::tempdir()?;
    let mut redis = Redis::start(directory.path()).await?;
    let store = match &redis {
        Some(redis) => redis.url(),
        None => {
            println!("There is no redis-server, so the token lies in a directory.");
            println!(
                "To see Redis go and come: apt-get install redis-server, or brew install redis.\n"
            );
            directory.path().join("tokens").display().to_string()
        }
    };
    let settings = Settings { token_endpoint: issuer.token_endpoint(), api: api.url("/"), store };

    let mut phases = Phases { issuer: &issuer, tally: Arc::default(), seen: 0, rows: Vec::new() };
    Row::print_head();

    let mut fleet =
        (0..PROCESSES).map(|_| start(&settings, &phases.tally)).collect::<Result<Vec<_>, _>>()?;
    phases.pass("eight processes start", PHASE, 1).await;

    issuer.token_lifetime(LONG);
    phases.pass("the token is renewed", SHORT, 1).await;

    for mut process in fleet.drain(..KILLED) {
        process.kill().await?;
    }
    phases.pass("two processes are killed", PHASE, 0).await;

    issuer.revoke_all();
    phases.pass("the token is revoked", PHASE, 1).await;

    fleet.push(start(&settings, &phases.tally)?);
    phases.pass("a process starts", PHASE, 0).await;

    if let Some(redis) = &mut redis {
        redis.stop()?;
        phases.pass("Redis is stopped for 10 s", AWAY, 0).await;

        redis.start_again().await?;
        phases.pass("Redis is started again, with nothing in it", PHASE, 0).await;

        issuer.revoke_all();
        phases.pass("the token is revoked", PHASE, 1).await;
    }
    Ok(phases.outcome())
}

/// This program again. What it prints is added to the tally.
fn start(settings: &Settings, tally: &Arc<Mutex<Tally>>) -> Result<Child, BoxError> {
    let mut process = Command::new(env::current_exe()?)
        .envs(settings.for_child())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = process.stdout.take().ok_or("a process without output")?;
    let tally = tally.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            tally.lock().unwrap_or_else(PoisonError::into_inner).add(&line);
        }
    });
    Ok(process)
}

struct Phases<'a> {
    issuer: &'a AuthorizationServer,
    tally: Arc<Mutex<Tally>>,
    /// Token requests in earlier phases.
    seen: usize,
    rows: Vec<Row>,
}

impl Phases<'_> {
    async fn pass(&mut self, what: &'static str, time: Duration, expected: usize) {
        sleep(time).await;
        let total = self.issuer.requests().len();
        let row = Row {
            what,
            tally: std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner)),
            token_requests: total - self.seen,
            expected,
        };
        self.seen = total;
        println!("{row}");
        self.rows.push(row);
    }

    fn outcome(self) -> ExitCode {
        match self.rows.iter().all(Row::is_as_expected) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
