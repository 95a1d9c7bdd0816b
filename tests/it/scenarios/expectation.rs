//! Did the requests fare as the scenario says?

use std::collections::BTreeMap;

use super::{
    load::{Outcome, Tally},
    step::{Expect, Expected},
};

impl Expected {
    pub fn compare(&self, tally: &Tally) -> Result<(), String> {
        self.compare_verdicts(tally)?;
        for outcome in tally.keys() {
            self.compare_details(outcome)
                .map_err(|difference| format!("{difference}, in {outcome:?}"))?;
        }
        Ok(())
    }

    fn compare_verdicts(&self, tally: &Tally) -> Result<(), String> {
        let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
        for (outcome, n) in tally {
            *verdicts.entry(&outcome.verdict).or_default() += n;
        }
        match &self.expect {
            Expect::All(all) if verdicts.keys().all(|verdict| verdict == all) => Ok(()),
            Expect::All(all) => Err(format!("expected {all}, got {verdicts:?}")),
            Expect::Tally(expected) => {
                for (verdict, range) in expected {
                    let n = verdicts.remove(verdict.as_str()).unwrap_or_default();
                    if !range.has(n) {
                        return Err(format!("expected {range} `{verdict}`, got {n}"));
                    }
                }
                if verdicts.is_empty() { Ok(()) } else { Err(format!("got also {verdicts:?}")) }
            }
        }
    }

    fn compare_details(&self, outcome: &Outcome) -> Result<(), String> {
        let last = outcome.sent.last().map_or("none", |token| token);
        if let Some(token) = self.token.as_ref().filter(|token| !token.has(last)) {
            return Err(format!("expected token {token:?}, got {last}"));
        }
        if let Some(sent) = self.sent.as_ref().filter(|sent| **sent != outcome.sent) {
            return Err(format!("expected to be sent with {sent:?}, was with {:?}", outcome.sent));
        }
        if let Some(waited) = self.waited.filter(|waited| !waited.has(outcome.waited)) {
            return Err(format!("expected to wait {waited}, waited {:?}", outcome.waited));
        }
        match (self.retry_after, outcome.retry_after) {
            (Some(expected), Some(got)) if !expected.has(got) => {
                Err(format!("expected to be told to wait {expected}, was told {got:?}"))
            }
            (Some(expected), None) => {
                Err(format!("expected to be told to wait {expected}, was told nothing"))
            }
            _ => Ok(()),
        }
    }
}
