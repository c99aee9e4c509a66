//! Random sequences of operations by several callers on one key.

use std::fmt;

use proptest::prelude::*;

use crate::protocol::Leave;

/// How many callers a sequence has.
pub(super) const CALLERS: usize = 5;

/// Stands for the caller that was granted the key last.
pub(super) const HOLDER: usize = usize::MAX;

/// A sequence.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) callers: Vec<Spec>,
    pub(super) steps: Vec<Step>,
}

impl Program {
    /// How many of its steps wait.
    pub(super) fn pauses(&self) -> (usize, usize) {
        (self.steps.iter().filter(|step| matches!(step, Step::Pause)).count(), self.steps.len())
    }
}

/// How one caller claims. It repeats its claim with the same settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) short_lease: bool,
    pub(super) parks: bool,
    /// 0: none.
    pub(super) fingerprint: u8,
}

/// One operation. A caller is given by its index, or is [`HOLDER`]. Any operation may come at any time and any number
/// of times. So late copies, repeats and requests of strangers all occur.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Claim(usize),
    Renew(usize, Fence),
    Complete(usize, Fence, Ttl),
    Release(usize, Fence, Leave),
    /// Waits until each short lease and ttl is over.
    Pause,
    Forget,
    ResolveExecuted(Ttl),
    ResolveNotExecuted,
    Sweep,
}

/// The fence in a caller's request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fence {
    /// The fence that it was granted. If it was granted none, the highest that any caller was granted.
    Own,
    /// One less than that.
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ttl {
    Long,
    Short,
}

fn fence() -> impl Strategy<Value = Fence> {
    prop_oneof![9 => Just(Fence::Own), 1 => Just(Fence::Other)]
}

fn ttl() -> impl Strategy<Value = Ttl> {
    prop_oneof![Just(Ttl::Long), Just(Ttl::Short)]
}

fn how() -> impl Strategy<Value = Leave> {
    prop_oneof![
        3 => Just(Leave::Failed),
        4 => Just(Leave::OutcomeUnknown),
        1 => Just(Leave::Keep),
        4 => Just(Leave::NotRun),
    ]
}

/// All sequences; those of an operator too where there is one.
pub(super) fn programs(admin: bool) -> impl Strategy<Value = Program> {
    let spec = (prop::bool::weighted(0.4), prop::bool::weighted(0.25), prop_oneof![2 => Just(0), 2 => 1..=2u8]);
    let spec = spec.prop_map(|(short_lease, parks, fingerprint)| Spec { short_lease, parks, fingerprint });
    let caller = || 0..CALLERS;
    // Most endings are the holder's: those of strangers change little.
    let ending = || prop_oneof![1 => 0..CALLERS, 2 => Just(HOLDER)];
    let operator = prop_oneof![
        2 => Just(Step::Forget),
        3 => ttl().prop_map(Step::ResolveExecuted),
        2 => Just(Step::ResolveNotExecuted),
        1 => Just(Step::Sweep),
    ];
    let step = prop_oneof![
        8 => caller().prop_map(Step::Claim),
        2 => (ending(), fence()).prop_map(|(caller, fence)| Step::Renew(caller, fence)),
        4 => (ending(), fence(), ttl()).prop_map(|(caller, fence, ttl)| Step::Complete(caller, fence, ttl)),
        6 => (ending(), fence(), how()).prop_map(|(caller, fence, how)| Step::Release(caller, fence, how)),
        2 => Just(Step::Pause),
        if admin { 3 } else { 0 } => operator,
    ];
    // A late copy of a request is the same request once more: so many steps ago.
    let step = (step, prop::option::weighted(0.2, 1..=4usize));
    let callers = prop::collection::vec(spec, CALLERS);
    (callers, prop::collection::vec(step, 1..=24)).prop_map(|(callers, drawn)| {
        let mut steps: Vec<Step> = Vec::new();
        for (step, copied) in drawn {
            let copied = copied.and_then(|ago| steps.len().checked_sub(ago)).map(|index| steps[index]);
            steps.push(copied.unwrap_or(step));
        }
        Program { callers, steps }
    })
}

/// A caller by its letter.
pub(super) fn name(caller: usize) -> char {
    ('A'..).nth(caller).unwrap_or('?')
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.short_lease { "a short lease" } else { "a long lease" })?;
        if self.parks {
            f.write_str(", under park")?;
        }
        if self.fingerprint > 0 {
            write!(f, ", fingerprint {}", self.fingerprint)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "",
            Self::Other => " with another fence",
        })
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "a long ttl",
            Self::Short => "a short ttl",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Claim(caller) => write!(f, "{} claims", name(caller)),
            Self::Renew(caller, fence) => write!(f, "{} renews{fence}", name(caller)),
            Self::Complete(caller, fence, ttl) => write!(f, "{} completes{fence}, for {ttl}", name(caller)),
            Self::Release(caller, _, Leave::NotRun) => write!(f, "{} leaves as NotRun", name(caller)),
            Self::Release(caller, fence, how) => write!(f, "{} leaves as {how:?}{fence}", name(caller)),
            Self::Pause => f.write_str("every short lease and ttl ends"),
            Self::Forget => f.write_str("an operator forgets the key"),
            Self::ResolveExecuted(ttl) => write!(f, "an operator resolves the key as executed, for {ttl}"),
            Self::ResolveNotExecuted => f.write_str("an operator resolves the key as not executed"),
            Self::Sweep => f.write_str("an operator sweeps"),
        }
    }
}
