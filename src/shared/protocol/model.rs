//! A fleet over one store, in every order of events: processes that are slow or die, leases that run out,
//! operations that fail or take effect late.
//!
//! It runs the protocol itself, and `Need`, which judges what lies in the store. The store, the issuer and what
//! `fetch.rs` does around the protocol are modelled. There is no clock, so anything may take any time. Two things
//! are taken for granted: the store keeps a lock for as long as it was told, and a process knows a lease for
//! [`Lease::Held`] only if it has not run out, since it counts from before it asked.
//!
//! An operation and its answer are one step. In between only this process could tell the difference, and it
//! does nothing until the answer comes. Loads have no other effect, so one that fails leaves nothing behind.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    iter,
    time::Duration,
};

use stateright::{Checker, Model, Property};

use super::{
    super::need::{Need, Validity},
    *,
};
use crate::{
    fetcher::{FetchContext, FetchReason},
    token::{Token, TokenId},
};

type Number = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct IssuerError;

/// The token that the fleet has at first. The issuer goes on from there, so a greater number is newer.
const FIRST: Number = 1;
const LIFETIME: Duration = Duration::from_secs(1000);
const NEARLY_OVER: Duration = Duration::from_secs(100);
const PATIENCE: Duration = Duration::from_secs(5);

struct Fleet {
    size: usize,
    /// How many things may go wrong.
    faults: usize,
    /// How often a process waits before its patience is at its end.
    waits: usize,
    tokens: Vec<TokenId>,
    needs: HashMap<Reason, Need>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    replicas: Vec<Replica>,
    store: Store,
    /// Operations that nobody waits for any more. Each takes effect at some time, or never.
    late: Vec<(Owner, Operation)>,
    /// Whether the first token is nearly over.
    is_first_due: bool,
    newest: Number,
    requests: usize,
    faults: usize,
    /// How many processes have asked the issuer because others held the lock for too long.
    gave_up: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Store {
    entry: Option<Number>,
    lock: Option<Owner>,
    has_gone_back: bool,
}

/// The number of a process, and of its fetch.
type Owner = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Replica {
    owner: Owner,
    reason: Reason,
    doing: Doing,
    /// The lock is its own without doubt.
    is_holder: bool,
    waits: usize,
    has_asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reason {
    Empty,
    /// The first token is nearly over.
    Ahead,
    Rejected(Number),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Operating(Protocol<Number, IssuerError>, Operation),
    Asking(Protocol<Number, IssuerError>, Lease),
    /// The issuer has answered, and the answer is on its way.
    Answered(Protocol<Number, IssuerError>, Answer<Number, IssuerError>),
    Ended(End<Number, IssuerError>),
    /// It was told to wait though its patience was at its end.
    Overdue,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Operation {
    Load,
    Lock,
    Store(Number),
    Unlock,
}

/// By the number of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happens {
    Operates(usize),
    OperationFails(usize),
    ProlongingFails(usize),
    Issues(usize),
    Refuses(usize),
    Answers(usize, Lease),
    Dies(usize),
    /// An API rejects the token that it has got.
    IsRejected(usize),
    LeaseEnds,
    EntryIsLost,
    /// By its place among those that are late.
    TakesEffect(usize),
}

use Happens::*;

impl Fleet {
    fn of(size: usize, waits: usize, faults: usize) -> Self {
        let newest = Number::try_from(size + faults + 2).unwrap();
        let tokens = (0..=newest).map(|n| token(n).id()).collect();
        let reasons = (0..=newest).map(Reason::Rejected).chain([Reason::Empty, Reason::Ahead]);
        let needs = reasons.map(|reason| (reason, reason.need())).collect();
        Self { size, faults, waits, tokens, needs }
    }

    fn world(&self, reasons: impl IntoIterator<Item = Reason>, entry: Option<Number>) -> World {
        let reasons = reasons.into_iter().take(self.size).enumerate();
        let replicas: Vec<_> = reasons.map(|(n, reason)| Replica::starts((n, 0), reason)).collect();
        World {
            is_first_due: replicas.iter().any(|replica| replica.reason == Reason::Ahead),
            replicas,
            store: Store { entry, ..Store::default() },
            late: Vec::new(),
            newest: FIRST,
            requests: 0,
            faults: 0,
            gave_up: 0,
        }
    }

    fn judge(&self, world: &World, reason: Reason) -> Found<Number> {
        let Some(number) = world.store.entry else { return Found::Nothing };
        let until = if number == FIRST && world.is_first_due { NEARLY_OVER } else { LIFETIME };
        let validity = Validity { lifetime: LIFETIME, until };
        let id = self.tokens[usize::from(number)];
        self.needs[&reason].judge(number, id, validity, Duration::ZERO)
    }

    /// Tells the process what has come of its last step.
    fn proceed(&self, world: &mut World, n: usize, event: Event<Number, IssuerError>) {
        let replica = &mut world.replicas[n];
        let (Doing::Operating(mut protocol, _)
        | Doing::Asking(mut protocol, _)
        | Doing::Answered(mut protocol, ..)) = replica.doing.clone()
        else {
            unreachable!("it has not ended");
        };
        let is_patient = replica.waits < self.waits;
        let elapsed = if is_patient { Duration::ZERO } else { PATIENCE };
        let gives_up = matches!(event, Event::Locked(false));
        let mut step = protocol.next(event, elapsed, 1.0);
        if let Step::Pause(_) = step {
            if !is_patient {
                replica.doing = Doing::Overdue;
                return;
            }
            replica.waits += 1;
            step = protocol.next(Event::Paused, elapsed, 1.0);
        } else if gives_up {
            world.gave_up += 1;
        }
        replica.doing = match step {
            Step::Load => Doing::Operating(protocol, Operation::Load),
            Step::Lock => Doing::Operating(protocol, Operation::Lock),
            Step::Store(token) => Doing::Operating(protocol, Operation::Store(token)),
            Step::Unlock => Doing::Operating(protocol, Operation::Unlock),
            Step::Ask(lease) => Doing::Asking(protocol, lease),
            Step::End(end) => Doing::Ended(end),
            Step::Pause(_) => Doing::Overdue,
        };
    }
}

impl World {
    /// What a process waits for no longer may still take effect.
    fn leave_behind(&mut self, owner: Owner, operation: Operation) {
        if operation != Operation::Load {
            self.late.push((owner, operation));
            self.late.sort_unstable();
        }
    }

    /// One and the same world for all that differ only in which process is which.
    fn representative(&self) -> Self {
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        let mut order: Vec<_> = (0..self.replicas.len()).collect();
        order.sort_by_cached_key(|n| {
            let Replica { owner, reason, doing, is_holder, waits, has_asked } = &self.replicas[*n];
            let lock = self.store.lock.filter(|(process, _)| process == n).map(|(_, fetch)| fetch);
            let late = self.late.iter().filter(|((process, _), _)| process == n);
            let late: Vec<_> = late.map(|((_, fetch), operation)| (fetch, operation)).collect();
            hasher.hash_one((owner.1, reason, doing, is_holder, waits, has_asked, lock, late))
        });
        let place = |(process, fetch): Owner| {
            let place = order.iter().position(|n| *n == process);
            (place.expect("the order has all processes"), fetch)
        };
        let mut world = self.clone();
        world.replicas = order.iter().map(|n| self.replicas[*n].clone()).collect();
        for replica in &mut world.replicas {
            replica.owner = place(replica.owner);
        }
        world.store.lock = world.store.lock.map(place);
        for (owner, _) in &mut world.late {
            *owner = place(*owner);
        }
        world.late.sort_unstable();
        world
    }

    fn is_every(&self, what: impl Fn(&Replica) -> bool) -> bool {
        self.replicas.iter().all(what)
    }
}

impl Store {
    /// Whether it was done.
    fn operate(&mut self, owner: Owner, operation: Operation) -> bool {
        let is_owner = self.lock == Some(owner);
        match operation {
            Operation::Load => true,
            Operation::Lock => *self.lock.get_or_insert(owner) == owner,
            Operation::Store(token) => {
                if is_owner {
                    self.has_gone_back |= self.entry.is_some_and(|entry| entry > token);
                    *self = Self { entry: Some(token), lock: None, ..*self };
                }
                is_owner
            }
            Operation::Unlock => {
                self.lock = self.lock.filter(|_| !is_owner);
                true
            }
        }
    }
}

impl Replica {
    fn starts(owner: Owner, reason: Reason) -> Self {
        let (protocol, step) = Protocol::start(PATIENCE);
        assert_eq!(step, Step::Load);
        let doing = Doing::Operating(protocol, Operation::Load);
        Self { owner, reason, doing, is_holder: false, waits: 0, has_asked: false }
    }

    /// Its token is another than the one that it wanted to replace, or it has asked the issuer and got an error.
    fn has_ended_well(&self) -> bool {
        let unwanted = self.reason.unwanted();
        match &self.doing {
            Doing::Ended(End::Token(token, _)) => Some(*token) != unwanted,
            Doing::Ended(End::Failed { error: IssuerError, fallback }) => {
                self.has_asked && (fallback.is_none() || *fallback != unwanted)
            }
            _ => true,
        }
    }
}

impl Reason {
    fn unwanted(self) -> Option<Number> {
        match self {
            Self::Empty => None,
            Self::Ahead => Some(FIRST),
            Self::Rejected(token) => Some(token),
        }
    }

    fn need(self) -> Need {
        let current = self.unwanted().map(token);
        let (reason, rejected) = match self {
            Self::Empty => (FetchReason::Empty, None),
            Self::Ahead => (FetchReason::Ahead, None),
            Self::Rejected(_) => (FetchReason::Rejected, current.clone()),
        };
        let context = FetchContext::new(reason, 2 * PATIENCE, "".into());
        let current = current.map(|token| (token, NEARLY_OVER));
        Need::of(&context.current_is(current).rejects(rejected, None))
    }
}

fn token(number: Number) -> Token {
    Token::bearer(&format!("t{number}")).unwrap()
}

impl Model for Fleet {
    type State = World;
    type Action = Happens;

    fn init_states(&self) -> Vec<World> {
        use Reason::{Ahead, Empty, Rejected};
        let all = |reason| iter::repeat(reason);
        let newcomer_and = |reason| iter::once(Empty).chain(iter::repeat(reason));
        vec![
            self.world(all(Empty), None),
            self.world(all(Ahead), Some(FIRST)),
            self.world(newcomer_and(Ahead), Some(FIRST)),
            self.world(all(Rejected(FIRST)), Some(FIRST)),
            self.world(newcomer_and(Rejected(FIRST)), Some(FIRST)),
        ]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Happens>) {
        let may_fail = world.faults < self.faults;
        for (n, replica) in world.replicas.iter().enumerate() {
            match &replica.doing {
                Doing::Operating(..) => {
                    actions.push(Operates(n));
                    actions.extend(may_fail.then_some(OperationFails(n)));
                }
                Doing::Asking(_, lease) => {
                    actions.push(Issues(n));
                    actions.extend(may_fail.then_some(Refuses(n)));
                    let prolongs = *lease == Lease::Held && replica.is_holder;
                    actions.extend((may_fail && prolongs).then_some(ProlongingFails(n)));
                }
                Doing::Answered(..) => {
                    if replica.is_holder {
                        actions.push(Answers(n, Lease::Held));
                    }
                    if !replica.is_holder || may_fail {
                        actions.push(Answers(n, Lease::NotHeld));
                    }
                }
                Doing::Ended(End::Token(..)) if may_fail => actions.push(IsRejected(n)),
                Doing::Ended(_) | Doing::Overdue | Doing::Dead => continue,
            }
            if may_fail && !matches!(replica.doing, Doing::Ended(_)) {
                actions.push(Dies(n));
            }
        }
        if world.store.lock.is_some() {
            let is_held = world.replicas.iter().any(|replica| replica.is_holder);
            actions.extend((may_fail || !is_held).then_some(LeaseEnds));
        }
        actions.extend((may_fail && world.store.entry.is_some()).then_some(EntryIsLost));
        actions.extend((0..world.late.len()).map(TakesEffect));
    }

    fn next_state(&self, last: &World, happens: Happens) -> Option<World> {
        let mut world = last.clone();
        match happens {
            Operates(n) => {
                let replica = &mut world.replicas[n];
                let Doing::Operating(_, operation) = replica.doing else { return None };
                let is_done = world.store.operate(replica.owner, operation);
                replica.is_holder = match operation {
                    Operation::Load => replica.is_holder,
                    Operation::Lock => is_done,
                    Operation::Store(_) | Operation::Unlock => false,
                };
                let event = match operation {
                    Operation::Load => Event::Loaded(self.judge(last, replica.reason)),
                    Operation::Lock => Event::Locked(is_done),
                    Operation::Store(_) => Event::Stored(is_done),
                    Operation::Unlock => Event::Unlocked,
                };
                self.proceed(&mut world, n, event);
            }
            OperationFails(n) => {
                world.faults += 1;
                let replica = &mut world.replicas[n];
                replica.is_holder = false;
                let Doing::Operating(_, operation) = replica.doing else { return None };
                let owner = replica.owner;
                world.leave_behind(owner, operation);
                self.proceed(&mut world, n, Event::StoreFailed);
            }
            ProlongingFails(n) => {
                world.faults += 1;
                world.replicas[n].is_holder = false;
                world.leave_behind(last.replicas[n].owner, Operation::Lock);
            }
            Issues(n) | Refuses(n) => {
                world.requests += 1;
                let replica = &mut world.replicas[n];
                let Doing::Asking(protocol, _) = &replica.doing else { return None };
                let answer = match happens {
                    Refuses(_) => {
                        world.faults += 1;
                        Answer::Failed(IssuerError)
                    }
                    _ => {
                        world.newest += 1;
                        Answer::Lasting(world.newest)
                    }
                };
                replica.has_asked = true;
                replica.doing = Doing::Answered(protocol.clone(), answer);
            }
            Answers(n, lease) => {
                let replica = &mut world.replicas[n];
                world.faults += usize::from(replica.is_holder && lease == Lease::NotHeld);
                replica.is_holder = lease == Lease::Held;
                let Doing::Answered(_, answer) = &replica.doing else { return None };
                let event = Event::Asked(answer.clone(), lease);
                self.proceed(&mut world, n, event);
            }
            Dies(n) => {
                world.faults += 1;
                let replica = &mut world.replicas[n];
                let doing = std::mem::replace(&mut replica.doing, Doing::Dead);
                replica.is_holder = false;
                let owner = replica.owner;
                if let Doing::Operating(_, operation) = doing {
                    world.leave_behind(owner, operation);
                }
            }
            IsRejected(n) => {
                world.faults += 1;
                let replica = &mut world.replicas[n];
                let Doing::Ended(End::Token(token, _)) = replica.doing else { return None };
                let (process, fetch) = replica.owner;
                *replica = Replica::starts((process, fetch + 1), Reason::Rejected(token));
            }
            LeaseEnds => {
                let holder = world.replicas.iter_mut().find(|replica| replica.is_holder);
                world.faults += usize::from(holder.is_some());
                if let Some(holder) = holder {
                    holder.is_holder = false;
                }
                world.store.lock = None;
            }
            EntryIsLost => {
                world.faults += 1;
                world.store.entry = None;
            }
            TakesEffect(place) => {
                let (owner, operation) = world.late.remove(place);
                world.store.operate(owner, operation);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each further token request has a cause", |_, world: &World| {
                world.requests <= 1 + world.faults + world.gave_up
            }),
            Property::always("no token takes the place of a newer one", |_, world: &World| {
                !world.store.has_gone_back
            }),
            Property::always(
                "who ends has another token or the issuer's error",
                |_, world: &World| world.is_every(Replica::has_ended_well),
            ),
            Property::always("everybody ends", |_, world: &World| {
                world.is_every(|replica| replica.doing != Doing::Overdue)
            }),
            Property::sometimes("one token request is enough for all", |_, world: &World| {
                let is_served = |replica: &Replica| match replica.doing {
                    Doing::Ended(End::Token(token, _)) => token == world.newest,
                    _ => false,
                };
                world.requests == 1 && world.faults == 0 && world.is_every(is_served)
            }),
            Property::sometimes("who was too slow takes the newer token", |_, world: &World| {
                world.replicas.iter().any(|replica| {
                    let end = Doing::Ended(End::Token(world.newest, Origin::Store));
                    replica.has_asked && replica.doing == end
                })
            }),
        ]
    }
}

fn check(fleet: Fleet) {
    let checked = fleet.checker().symmetry_fn(World::representative).threads(2).spawn_dfs().join();
    println!("{} states", checked.unique_state_count());
    checked.assert_properties();
}

#[test]
fn two_processes_keep_the_promises_under_any_three_faults() {
    check(Fleet::of(2, 1, 3));
}

#[test]
fn three_processes_keep_the_promises_under_any_two_faults() {
    check(Fleet::of(3, 1, 2));
}
